"""``manage.py jobmaster``."""
