"""The entry point of web servers."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "compliance.settings")

application = get_wsgi_application()

# Models and settings are there from here on.
from compliance.accounts.counted_where import say_where_attempts_are_counted  # noqa: E402

say_where_attempts_are_counted()
