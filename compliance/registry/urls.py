"""Addresses of the pages on which officers register models and data sets."""

from __future__ import annotations

from django.urls import path

from compliance.registry import views

urlpatterns = [
    path("", views.registrations, name="registrations"),
    path("model/", views.register_model, name="register_model"),
    path("data/", views.register_data, name="register_data"),
    path("data/uploads/", views.announce_upload, name="announce_upload"),
    path("<uuid:public_id>/", views.registration, name="registration"),
    path("<uuid:public_id>/part/", views.upload_part, name="upload_part"),
    path("<uuid:public_id>/file/", views.replace_file, name="replace_file"),
    path("<uuid:public_id>/remove/", views.remove, name="registration_remove"),
    path("<uuid:public_id>/again/", views.again, name="registration_again"),
]
