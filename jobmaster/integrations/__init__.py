"""Frameworks and containers that an application may live in; each module needs its own, and only it.

``starlette``, ``fastapi``, ``flask``, ``django``: the scheduler where the framework keeps such things, and
the workers in its life cycle. ``dishka``, ``svcs``: handlers built from a container.
"""
