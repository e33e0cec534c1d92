"""Addresses of notices, and of what people and teams choose about them."""

from __future__ import annotations

from django.urls import path

import compliance.addresses  # noqa: F401, registers what stands for a row in an address
from compliance.notices import views, webhook_views

urlpatterns = [
    path("", views.notices, name="notices"),
    path("read/", views.read, name="notices_read"),
    path("choices/", views.choices, name="notice_choices"),
    path("address/", views.address, name="mail_address"),
    path("address/remove/", views.remove_address, name="mail_address_remove"),
    path("address/<str:token>/", views.confirm_address, name="mail_address_confirm"),
    path("webhooks/", webhook_views.webhooks, name="webhooks"),
    path("webhooks/<key:pk>/", webhook_views.webhook, name="webhook"),
    path("webhooks/<key:pk>/secret/", webhook_views.renew, name="webhook_secret"),
    path("webhooks/<key:pk>/end/", webhook_views.end, name="webhook_end"),
]
