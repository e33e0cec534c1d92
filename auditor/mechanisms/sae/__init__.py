"""Sparse autoencoders: trained on states, measured, saved and loaded."""

from auditor.mechanisms.sae.autoencoder import KINDS, Autoencoder, Kind
from auditor.mechanisms.sae.codes import Codes
from auditor.mechanisms.sae.dictionary import (
    Dictionary,
    DictionarySettings,
    dictionary_for,
    dictionary_payload,
    dictionary_settings,
)
from auditor.mechanisms.sae.files import load, save
from auditor.mechanisms.sae.quality import Quality, fraction_unexplained, measure
from auditor.mechanisms.sae.states import Matrix, Shards, StateRows, write_shards
from auditor.mechanisms.sae.training import Recipe, Trained, train

__all__ = [
    "KINDS",
    "Autoencoder",
    "Codes",
    "Dictionary",
    "DictionarySettings",
    "Kind",
    "Matrix",
    "Quality",
    "Recipe",
    "Shards",
    "StateRows",
    "Trained",
    "dictionary_for",
    "dictionary_payload",
    "dictionary_settings",
    "fraction_unexplained",
    "load",
    "measure",
    "save",
    "train",
    "write_shards",
]
