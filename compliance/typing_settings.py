"""The settings as the type checker's Django plugin reads them: those of no installation, which leave no file behind.

The plugin imports settings to learn the applications and the types of fields. `compliance.settings` would read this
machine's environment, and make a data folder with a secret key in it.
"""

from __future__ import annotations

import os
import tempfile

from compliance.environment import ADDRESSES, PREFIX

for _name in list(os.environ):
    if _name.startswith(PREFIX) or _name in ADDRESSES:
        del os.environ[_name]

with tempfile.TemporaryDirectory(prefix="plumbline-types-") as _folder:
    os.environ["PLUMBLINE_DATA"] = _folder
    from compliance.settings import *  # noqa: F403

    del os.environ["PLUMBLINE_DATA"]
