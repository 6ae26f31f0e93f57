SELECT pg_notify(%(channel)s, %(lane)s)
