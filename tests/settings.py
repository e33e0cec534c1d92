"""The site's settings in a folder of their own, untouched by what the developer's environment says."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

FOLDER = "PLUMBLINE_TEST_FOLDER"  # made by the first process of a test run, inherited by its workers

if FOLDER not in os.environ:
    os.environ[FOLDER] = tempfile.mkdtemp(prefix="plumbline-tests-")
    # A server that runs as another user lives below it; what is secret in there is readable by its owner only.
    Path(os.environ[FOLDER]).chmod(0o711)

for name in list(os.environ):
    mine = name.startswith("PLUMBLINE_") and not name.startswith(("PLUMBLINE_TEST", "PLUMBLINE_NO_SKIPS"))
    if mine or name in ("DATABASE_URL", "REDIS_URL"):
        del os.environ[name]
os.environ["PLUMBLINE_DATA"] = str(Path(os.environ[FOLDER]) / "data")
# The receivers of webhooks are real servers on this machine.
os.environ["PLUMBLINE_WEBHOOK_NETWORKS"] = "127.0.0.0/8"

from compliance.settings import *  # noqa: E402, F403
from compliance.settings import MIDDLEWARE as OF_THE_SITE  # noqa: E402

MIDDLEWARE = ["tests.unglossed.unglossed", *OF_THE_SITE]

# Argon2 takes a tenth of a second a login on purpose.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
