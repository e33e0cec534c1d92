"""Addresses of the site."""

from __future__ import annotations

from django.contrib import admin
from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView

from compliance.health import healthz

urlpatterns = [
    path("admin/", admin.site.urls),
    path("favicon.ico", RedirectView.as_view(url=static("compliance/icon.svg"))),
    path("healthz", healthz, name="healthz"),
]
