"""Several rows of a register are called so in English and in German, wherever the administration counts them."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db.models import Model
from django.utils import translation

MODELS = list(apps.get_app_config("compliance").get_models())
WRONG = ("ys", "sss", "chs", "shs", "xs")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.model_name)
def test_several_have_a_plural_of_their_own_in_both_languages(model: type[Model]) -> None:
    with translation.override("en-gb"):
        one, several = str(model._meta.verbose_name), str(model._meta.verbose_name_plural)
        assert several != one
        assert not several.endswith(WRONG), several
    with translation.override("de"):
        assert str(model._meta.verbose_name_plural) != several or several in ("teams", "workers", "webhooks")


def test_those_that_no_s_makes_plural() -> None:
    said = {str(model._meta.verbose_name): str(model._meta.verbose_name_plural) for model in MODELS}
    assert said["mail address"] == "mail addresses"
    assert said["mail delivery"] == "mail deliveries"
    assert said["key of a system"] == "keys of systems"
