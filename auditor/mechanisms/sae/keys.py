"""The keys of ``cfg.json`` as SAELens has written it over the years: which are read, and which change nothing.

Old versions kept the whole training run in that file. Any key that is in neither list may be part of the function of a
version that is not known here, and is refused by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.exceptions import ModelError

#: Read or refused by their values in :mod:`.declared`.
READ = frozenset(
    {
        *("architecture", "trained_as", "d_in", "d_sae", "k", "dtype", "metadata", "model_name"),
        *("activation_fn", "activation_fn_str", "activation_fn_kwargs", "apply_b_dec_to_input"),
        *("normalize_activations", "norm_scaling_factor", "dataset_average_activation_norm", "reshape_activations"),
        *("rescale_acts_by_decoder_norm", "finetuning_scaling_factor", "prepend_bos", "context_size"),
        *("hook_name", "hook_point", "hf_hook_name", "hook_layer", "hook_point_layer"),
        *("hook_head_index", "hook_point_head_index", "model_from_pretrained_kwargs", "seqpos_slice"),
    }
)
#: How it was trained and from what, where it was computed and logged: nothing of it is in the function of the weights.
IDLE = frozenset(
    {
        *("device", "act_store_device", "llm_device", "seed", "verbose", "autocast", "autocast_lm", "compile_llm"),
        *("compile_sae", "llm_compilation_mode", "sae_compilation_mode", "sae_lens_version", "neuronpedia_id"),
        *("sae_lens_training_version", "from_pretrained_path", "resume_from_checkpoint", "checkpoint_path", "run_name"),
        *(
            "output_path",
            "n_checkpoints",
            "save_final_checkpoint",
            "dataset",
            "dataset_path",
            "dataset_trust_remote_code",
        ),
        *("streaming", "is_dataset_tokenized", "use_cached_activations", "cached_activations_path"),
        *("new_cached_activations_path", "model_class_name", "model_kwargs", "hook_eval"),
        *("training_tokens", "training_samples", "n_training_samples", "total_training_steps", "total_training_tokens"),
        *("train_batch_size", "train_batch_size_tokens", "train_batch_size_samples", "store_batch_size"),
        *("store_batch_size_prompts", "store_batch_size_tokens", "n_batches_in_buffer", "n_batches_for_norm_estimate"),
        *(
            "activations_mixing_fraction",
            "prefetch_llm_batches",
            "disable_concat_sequences",
            "sequence_separator_token",
        ),
        *("exclude_special_tokens", "tokens_per_buffer", "eval_batch_size_prompts", "n_eval_batches"),
        *("eval_every_n_wandb_logs", "adam_beta1", "adam_beta2", "lr", "lr_end", "lr_decay_steps", "lr_warm_up_steps"),
        *("lr_scheduler_name", "n_restart_cycles", "l1_coefficient", "l1_warm_up_steps", "l0_coefficient", "l0_lambda"),
        *("l0_warm_up_steps", "lp_norm", "mse_loss_normalization", "ghost_grad_scale", "use_ghost_grads"),
        *("dead_feature_threshold", "dead_feature_window", "dead_feature_estimation_method", "feature_sampling_window"),
        *(
            "feature_sampling_method",
            "feature_reinit_scale",
            "resample_batches",
            "expansion_factor",
            "b_dec_init_method",
        ),
        *("decoder_orthogonal_init", "decoder_heuristic_init", "decoder_heuristic_init_norm", "decoder_init_norm"),
        *("init_encoder_as_decoder_transpose", "normalize_sae_decoder", "scale_sparsity_penalty_by_decoder_norm"),
        *("noise_scale", "aux_loss_coefficient", "pre_act_loss_coefficient", "topk_threshold_lr", "matryoshka_widths"),
        *("use_matryoshka_aux_loss", "use_sparse_activations", "finetuning_tokens", "finetuning_method", "k_aux"),
        *("jumprelu_init_threshold", "jumprelu_bandwidth", "jumprelu_sparsity_loss_mode", "jumprelu_tanh_scale"),
        *("jumprelu_ste_to_input", "log_to_wandb", "wandb_project", "wandb_id", "wandb_entity", "wandb_log_frequency"),
        *("log_activations_store_to_wandb", "log_optimizer_state_to_wandb", "log_weights_to_wandb", "logger"),
        *("b_dec_init_method", "target_l0", "use_chat_formatting"),
    }
)


def check_keys(config: Mapping[str, Any], where: str) -> None:
    """Refuse the first key that is set and in neither list."""
    for key, value in config.items():
        if key not in READ and key not in IDLE and value not in (None, False, "", [], {}):
            raise ModelError(where, f"{key} is {value!r}: a key that is not read", "keys of a version that is known")
