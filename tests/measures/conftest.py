"""Hypothesis without a clock: a busy machine must not fail a law of arithmetic. Same examples every time."""

from hypothesis import HealthCheck, settings

settings.register_profile("measures", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("measures")
