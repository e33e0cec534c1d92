"""Field attribution: which fields of an application drive its decision (occlusion, Shapley values)."""
