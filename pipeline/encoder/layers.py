"""Layers and dimensions of an encoder."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def transformer_of(encoder: "SentenceTransformer") -> Any:
    """Return the transformers model inside an encoder.

    Raises
    ------
    ValueError
        If it has none, and so no token states.
    """
    if not has_transformer(encoder):
        raise ValueError(f"{type(encoder[0]).__name__} has no token states to pool: use SentenceEmbedding with it.")
    return encoder[0].auto_model


def has_transformer(encoder: "SentenceTransformer") -> bool:
    """Return whether there are token states."""
    return getattr(encoder[0], "auto_model", None) is not None


def count_layers(encoder: "SentenceTransformer") -> int:
    """Return the number of layers above the input embeddings."""
    return int(transformer_of(encoder).config.get_text_config().num_hidden_layers)


def state_size(encoder: "SentenceTransformer") -> int:
    """Return the number of dimensions of a token state."""
    return int(transformer_of(encoder).config.get_text_config().hidden_size)


def sentence_size(encoder: "SentenceTransformer") -> int:
    """Return the number of dimensions of the encoder's sentence embedding.

    Raises
    ------
    ValueError
        If the encoder does not say.
    """
    size = encoder.get_embedding_dimension()
    if size is None:
        raise ValueError("The encoder does not say how many dimensions its embedding has.")
    return int(size)


def check_layer(encoder: "SentenceTransformer", layer: int, lowest: int, weights: str | None = None) -> int:
    """Return the layer counted from the input embeddings, 0.

    Raises
    ------
    ValueError
        If the encoder does not have it; `lowest` is 1 for attention, which the input embeddings do not have.
    """
    n_layers = count_layers(encoder)
    absolute = layer if layer >= 0 else n_layers + 1 + layer
    if not lowest <= absolute <= n_layers:
        with_weights = "" if weights is None else f" with weights={weights!r}"
        raise ValueError(f"Got layer={layer}{with_weights}, but the encoder has the layers {lowest} to {n_layers}.")
    return absolute


def check_tokens(encoder: "SentenceTransformer", attention: bool = False) -> None:
    """Refuse an encoder that does not have a state for every token in every layer, or, if asked for, no attention.

    Raises
    ------
    ValueError
        In one line.
    """
    from pipeline.encoder.probe import check_attention, check_states

    if attention:
        check_attention(encoder.tokenizer, transformer_of(encoder))
    check_states(encoder.tokenizer, transformer_of(encoder))


def check_first_token(encoder: "SentenceTransformer", layer: int) -> None:
    """Refuse the attention of a first token that sees nothing but itself, as in a causal model.

    Raises
    ------
    ValueError
        In one line.
    """
    from pipeline.encoder.probe import named, traits

    transformer = transformer_of(encoder)
    if layer in traits(encoder.tokenizer, transformer).alone:
        raise ValueError(
            f"Got weights='cls' with {named(transformer)}, whose first token sees nothing but itself, as in every "
            "causal model: use weights='received', 'uniform' or 'idf'."
        )
