"""Addresses of the site."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.templatetags.static import static
from django.urls import include, path
from django.views.decorators.http import require_POST
from django.views.generic import RedirectView
from django.views.i18n import set_language

from compliance.accounts.urls import change_password
from compliance.health import healthz, readyz

# One way in: the administration sends people to the site's own login, with its rate limits.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]


def _nothing(request: HttpRequest, rest: str) -> HttpResponse:
    raise Http404("no such page")


handler403 = "compliance.accounts.refusals.refused"
handler500 = "compliance.database.busy.failed"
urlpatterns = [
    path("", include("compliance.dashboard.urls")),
    path("", include("compliance.accounts.urls")),
    path("register/", include("compliance.registry.urls")),
    path("data/", include("compliance.registry.data_urls")),
    path("packs/", include("compliance.registry.pack_urls")),
    path("systems/", include("compliance.registry.system_urls")),
    path("plans/", include("compliance.plans.urls")),
    path("help/", include("compliance.help.urls")),
    path("notices/", include("compliance.notices.urls")),
    path("language/", require_POST(set_language), name="language"),
    # Django would name the address of any row, of any team, to any member of staff.
    path("admin/r/<path:rest>", _nothing),
    # Django's own asks for the old password as often as anybody likes; this one counts.
    path("admin/password_change/", change_password),
    path("admin/", admin.site.urls),
    path("favicon.ico", RedirectView.as_view(url=static("compliance/icon.svg"))),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
]
