"""Addresses of the documents."""

from __future__ import annotations

from django.urls import path

from compliance.help import views

urlpatterns = [
    path("", views.index, name="help"),
    path("pictures/<str:name>", views.picture, name="help_picture"),
    path("<slug:name>/", views.document, name="help_document"),
]
