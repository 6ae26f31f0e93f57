"""A Django project as somebody might have it; run in processes of its own."""
