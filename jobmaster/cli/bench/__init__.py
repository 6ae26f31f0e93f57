"""Measures the library on any database, against a floor measured in the same run.

The parent process (:mod:`.program`) asks actors, which are processes of their own (:mod:`.actor`), to produce
and to work. :mod:`.ground` and :mod:`.floor` are the only modules that know SQL.
"""
