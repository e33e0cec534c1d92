"""Django's settings. Everything an installation may change is read, typed, by :mod:`compliance.environment`."""

from __future__ import annotations

from pathlib import Path

from csp.constants import NONE, SELF

from compliance.environment import (
    VISIBILITY_SECONDS,
    broker,
    data_folder,
    postgresql,
    read_environment,
    secret_key,
    sqlite,
)

_environment = read_environment()

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_FOLDER = data_folder(_environment.data)
MODEL_FOLDER = (_environment.models or DATA_FOLDER / "store").expanduser().absolute()
# Which systems may be asked; the file is the administrator's leave (docs/systems.md).
SYSTEMS_FILE = (_environment.systems or DATA_FOLDER / "systems.toml").expanduser().absolute()
LEASE_SECONDS = _environment.lease_seconds
DATABASE_SECONDS = _environment.database_seconds  # for which a statement waits for a lock
UPLOAD_BYTES = _environment.upload_megabytes << 20
# What the uploads of one team may take together, and how many somebody may have begun and not finished.
TEAM_UPLOAD_BYTES = _environment.team_upload_megabytes << 20
UNFINISHED_UPLOADS = _environment.unfinished_uploads
FINDING_FILES_BYTES = _environment.finding_files_megabytes << 20
TEAM_FINDING_FILES_BYTES = _environment.team_finding_files_megabytes << 20
# What a table may cost the process that reads it, and how large it may be.
TABLE_SECONDS = _environment.table_seconds
TABLE_MEMORY = _environment.table_megabytes << 20
TABLE_ROWS = _environment.table_rows
TABLE_CELLS = _environment.table_cells
TABLE_CHARACTERS = _environment.table_characters
# What an import may cost the process that does it, and what preparing a run may cost a worker.
IMPORT_SECONDS = _environment.import_seconds
IMPORT_MEMORY = _environment.import_megabytes << 20
PREPARE_SECONDS = _environment.prepare_seconds
STEP_SECONDS = _environment.step_seconds
PREPARE_MEMORY = _environment.prepare_megabytes << 20
# The folder from which the site may import models by path. The command line reads what its account may read.
IMPORT_FOLDER = (_environment.imports or DATA_FOLDER / "imports").expanduser().absolute()
# The keys that seal the keys of listed systems; made at first use.
KEYS_FILE = (_environment.keys_file or DATA_FOLDER / "system-keys").expanduser().absolute()
# The folder in which the certificates lie that a listed system may name.
CERTIFICATE_FOLDER = (_environment.certificates or DATA_FOLDER / "certificates").expanduser().absolute()
# The ready-made plans that are offered on the site.
PLAN_FOLDER = (_environment.plans or BASE_DIR / "plans").expanduser().absolute()
# The documents that the site shows as its help; where the folder is missing it says so.
DOCUMENT_FOLDER = BASE_DIR / "docs"
REAP_SECONDS = LEASE_SECONDS / 2
NOTICE_SECONDS = 10.0
# The site's own address, before the links of mail and webhooks; empty leaves them as paths.
SITE_URL = _environment.url
# The ranges beyond the public net that teams may lead webhooks to; none unless it is said.
WEBHOOK_NETWORKS = tuple(_environment.webhook_networks)
# Months from one validation of a model to the next, by its tier.
REVALIDATION_MONTHS = dict(enumerate(_environment.revalidation_months, start=1))
DEVICE = _environment.device

DEBUG = _environment.debug
SECRET_KEY = _environment.secret_key.get_secret_value() if _environment.secret_key else secret_key(DATA_FOLDER)
ALLOWED_HOSTS = _environment.hosts

INSTALLED_APPS = [
    "compliance.apps.ComplianceConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "allauth",
    "allauth.account",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "compliance.tables.language.files_in_english",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "compliance.accounts.sessions.limited",
    "compliance.accounts.acting.acting",
    # Bodies are read first where a form's token is looked for, which is after all of these and before any view.
    "compliance.registry.uploads.bounded_requests",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "compliance.accounts.sections.login_for_the_whole_page",
    "compliance.accounts.refusals.Refusals",
    "compliance.accounts.kept_forms.KeptForms",
    "compliance.accounts.second_factor.required",
    "compliance.database.busy.Busy",
]

ROOT_URLCONF = "compliance.urls"
WSGI_APPLICATION = "compliance.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "compliance.notices.header.unread",
                "compliance.dashboard.door.door",
                "compliance.accounts.own_account.session_end",
            ],
        },
    },
]

# Storage

_database_url = _environment.database_url.get_secret_value()
_redis_url = _environment.redis_url.get_secret_value()

_embedded = sqlite(DATA_FOLDER / "plumbline.sqlite3", wait=DATABASE_SECONDS)
DATABASES = {"default": postgresql(_database_url) if _database_url else _embedded}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Workers. Messages carry ids; what they mean is in the rows.

CELERY_BROKER_URL, CELERY_BROKER_TRANSPORT_OPTIONS = broker(_redis_url, DATA_FOLDER)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_DEFAULT_QUEUE = "audits"
SWEEP_QUEUE = "sweep"
# Notices have a queue of their own, so that they wait neither for an audit nor for an import.
NOTICE_QUEUE = "notices"
CELERY_TASK_ROUTES = {
    "compliance.reap": {"queue": SWEEP_QUEUE},
    "compliance.register": {"queue": SWEEP_QUEUE},
    "compliance.notify": {"queue": NOTICE_QUEUE},
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
# A message is let go when its work is done, and one at a time is taken: what a worker cannot start others can.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
# A process that was ended may have had a word underway; ten seconds would pass by default before it counts as lost and
# its call is made again. What it had to say is in the rows.
CELERY_WORKER_LOST_WAIT = 1.0
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_DISABLE_PREFETCH = bool(_redis_url)  # without it Redis hands over one more than can be started
# torch must not be forked; a fresh interpreter takes longer than Celery's four seconds to come up.
CELERY_WORKER_POOL = "prefork"
CELERY_WORKER_POOL_START_METHOD = "spawn"
CELERY_WORKER_CONCURRENCY = 1
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 120
# SIGTERM waits for the batch in hand, however long it takes; SIGQUIT waits so long, and then ends what still runs.
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 30
# Three places read it; the shortest of them wins.
CELERY_VISIBILITY_TIMEOUT = VISIBILITY_SECONDS
CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS = {"visibility_timeout": VISIBILITY_SECONDS}
# Stops and heartbeats go through the rows, which outlive any broker: a worker that lost its connection to one goes
# on with its chunks, and the call that the broker then makes again finds them taken or done.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "reap": {"task": "compliance.reap", "schedule": REAP_SECONDS, "options": {"expires": REAP_SECONDS}},
    "notify": {"task": "compliance.notify", "schedule": NOTICE_SECONDS, "options": {"expires": NOTICE_SECONDS}},
}
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_FOLDER / "beat")
CELERY_BEAT_SCHEDULER = "compliance.execution.beat.Scheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 5

# Mail. Without a server it is written to the notifier's output.

EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if _environment.mail_host else 'console'}.EmailBackend"
EMAIL_HOST = _environment.mail_host
EMAIL_PORT = _environment.mail_port
EMAIL_HOST_USER = _environment.mail_user
EMAIL_HOST_PASSWORD = _environment.mail_password.get_secret_value()
EMAIL_USE_TLS = _environment.mail_tls == "starttls"
EMAIL_USE_SSL = _environment.mail_tls == "tls"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = _environment.mail_from

CACHES = {
    "default": (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": _redis_url}
        if _redis_url
        else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    )
}

STATIC_URL = "static/"
STATIC_ROOT = data_folder(DATA_FOLDER / "static")
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": DATA_FOLDER / "files"},
    },
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
# Pages work before `collectstatic` ran too: whitenoise then serves the files of the installed apps themselves.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# People

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
AUTHENTICATION_BACKENDS = ["compliance.access.permissions.TeamBackend"]

# Accounts are made by an administrator: nobody signs up, and nothing depends on mail.
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_NOTIFICATIONS = False
ACCOUNT_LOGOUT_REDIRECT_URL = "login"
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_ADAPTER = "compliance.accounts.adapter.Accounts"
# Five wrong passwords in five minutes lock a user name for the rest of them; a machine may try ten a minute.
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "login_failed": "10/m/ip,5/5m/key", "change_password": "5/m/user"}
# Roles, and "superuser", whose holders reach one page only until they have set up a second factor.
SECOND_FACTOR = _environment.second_factor
ALLAUTH_TRUSTED_PROXY_COUNT = _environment.proxies

# Browser security. Behind HTTPS (PLUMBLINE_HTTPS) cookies are secure, plain requests are redirected and HSTS is on;
# without it the site is meant for 127.0.0.1 only.

FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]

# Over after half an hour without a request by a person, and at the latest after so many hours. A request does not write
# to the session: compliance.accounts.sessions.
CSRF_FAILURE_VIEW = "compliance.accounts.refusals.out_of_date"
SESSION_IDLE_SECONDS = 30 * 60
SESSION_COOKIE_AGE = _environment.session_hours * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = _environment.https
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if _environment.https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _environment.https
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _environment.https else None
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}

# Language and time. Times are kept and shown in UTC, so that two readers of one record see the same.

# Workers and commands speak English, which is also what is kept: pages are translated when they are read.

LANGUAGE_CODE = "en-gb"
LANGUAGES = [("en-gb", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [Path(__file__).parent / "locale"]
FORMAT_MODULE_PATH = ["compliance.formats"]
LANGUAGE_COOKIE_NAME = "plumbline_language"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = _environment.https
TIME_ZONE = "UTC"
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "class": "compliance.shown.LineFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {"compliance": {"level": _environment.log_level}},
}
