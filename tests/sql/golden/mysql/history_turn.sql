SELECT GET_LOCK(%(key)s, 0)
