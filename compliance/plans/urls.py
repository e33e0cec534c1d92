"""Addresses of the pages on which plans are written and designs decided on."""

from __future__ import annotations

from django.urls import path

from compliance.plans import views

urlpatterns = [
    path("", views.plans, name="plans"),
    path("new/", views.begin, name="plan_new"),
    path("drafts/<int:pk>/", views.draft, name="plan_draft"),
    path("drafts/<int:pk>/check/", views.check, name="plan_check"),
    path("<int:pk>/", views.plan, name="plan"),
    path("<int:pk>/decide/", views.decide, name="plan_decide"),
]
