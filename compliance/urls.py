"""Addresses of the site."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from compliance.health import healthz

# One way in: the administration sends people to the site's own login, with its rate limits.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns = [
    path("", include("compliance.dashboard.urls")),
    path("", include("compliance.accounts.urls")),
    path("register/", include("compliance.registry.urls")),
    path("admin/", admin.site.urls),
    path("favicon.ico", RedirectView.as_view(url=static("compliance/icon.svg"))),
    path("healthz", healthz, name="healthz"),
]
