"""How likely given answers are to a model: the log-probability of every token, exactly, a micro-batch at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from transformers import PreTrainedModel

from stillhouse.models.forward import head_of, hidden_of
from stillhouse.models.tokenise import Encoded
from stillhouse.objectives import label_logp


def token_logp(
    model: PreTrainedModel, sequences: Sequence[Encoded], *, vocabulary: int, micro_tokens: int = 4096
) -> Iterator[tuple[int, tuple[float, ...]]]:
    """log q of each answer's tokens, in nats: (index of the sequence, values), in any order.

    Sequences that differ in their last token alone (the options of a question) share one forward pass. The head works
    in float32, since bf16 would round logits to 8 bits. `vocabulary` cuts off rows beyond the tokenizer's.
    """
    sharing: dict[tuple[tuple[int, ...], int], list[int]] = {}
    for index, sequence in enumerate(sequences):
        sharing.setdefault((sequence.ids[:-1], sequence.start), []).append(index)
    groups = list(sharing.values())
    head = head_of(model)
    wide = replace(head, weight=head.weight.detach().to(torch.promote_types(head.weight.dtype, torch.float32)))
    read = [sequences[group[0]] for group in groups]
    for chosen, _, rows in hidden_of(model, read, micro_tokens=micro_tokens):
        parts = zip(chosen, rows.split([read[i].counted for i in chosen]), strict=True)
        pairs = [(index, part) for i, part in parts for index in groups[i]]
        labels = [[sequences[index].ids[place] for place in sequences[index].targets] for index, _ in pairs]
        targets = torch.tensor([token for answer in labels for token in answer], device=rows.device)
        with torch.no_grad():
            logp = label_logp(torch.cat([part for _, part in pairs]), wide, targets, vocabulary=vocabulary)
        for (index, _), values in zip(pairs, logp.split([len(answer) for answer in labels]), strict=True):
            yield index, tuple(values.tolist())
