"""How much each input token carries a prediction: integrated gradients over the embeddings (AD-KD, arXiv 2305.10010).

The student's map is trained, so its gradient is taken once more. The fast kernels for attention have no second
derivative, hence the plain ("eager") form for this pass; activation checkpointing has to be off.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, linear
from transformers import PreTrainedModel

from stillhouse.models.collate import Batch
from stillhouse.models.forward import attention, backbone, head_of
from stillhouse.objectives.distributions import widen


def attributions(
    model: PreTrainedModel,
    batch: Batch,
    chosen: Bool[Tensor, "N"],
    *,
    steps: int = 1,
    dimensions: int | None = None,
    create_graph: bool = False,
) -> Float[Tensor, "R T"]:
    """a_t = |g_t * e_t|, one number >= 0 an input token; g = mean over s = 1 .. m of d loss / d x at x = (s / m) e.

    e are the embeddings of the tokens, m = `steps`; loss = -log p(label), summed over the `chosen` of a sequence's
    rows. Tokens behind the last chosen row, and padding, have 0. The norm is over the `dimensions` largest of a token
    (AD-KD keeps the top of the teacher alone; None: all). With `create_graph=True`, for the student, a loss on the map
    can be trained; else the map is a constant. For other views of one prediction, change the batch's labels.

    Raises:
        ValueError: the batch is packed, where plain attention would mix sequences.
    """
    if batch.layout is not None:
        raise ValueError("attributions need a padded batch; collate it with packed=False")
    with torch.enable_grad(), attention(model, "eager"):
        embedded = model.get_input_embeddings()(batch.input_ids)
        if not (create_graph and embedded.requires_grad):
            embedded = embedded.detach().requires_grad_()
        slopes = []
        for step in range(1, steps + 1):
            point = embedded * (step / steps)
            loss = _loss(model, batch, point, chosen)
            slopes += torch.autograd.grad(loss, point, create_graph=create_graph)
        parts = (torch.stack(slopes).mean(dim=0) * embedded).abs()
        kept = parts if dimensions is None else parts.topk(dimensions, dim=-1).values
        sizes = torch.linalg.vector_norm(kept, dim=-1)
    return sizes if create_graph else sizes.detach()


def sample_rows(segment: Int[Tensor, "N"], count: int, generator: torch.Generator) -> Bool[Tensor, "N"]:
    """`count` random rows of each sequence (all, where it has fewer): predictions to explain, as `chosen`."""
    chosen = torch.zeros(len(segment), dtype=torch.bool, device=segment.device)
    for sequence in segment.unique():
        rows = (segment == sequence).nonzero().flatten()
        chosen[rows[torch.randperm(len(rows), generator=generator)[:count].to(rows.device)]] = True
    return chosen


def _loss(model: PreTrainedModel, batch: Batch, inputs: Float[Tensor, "R T H"], chosen: Bool[Tensor, "N"]) -> Tensor:
    """-log p of the chosen labels, summed: sequences do not see each other, so neither do their gradients."""
    out = backbone(model)(
        inputs_embeds=inputs, attention_mask=batch.attention_mask, position_ids=batch.position_ids, use_cache=False
    )
    head, states = head_of(model), out.last_hidden_state.flatten(0, 1)[batch.rows[chosen]]
    logits = widen(linear(states, head.weight, head.bias)) * head.scale
    if head.softcap is not None:
        logits = torch.tanh(logits / head.softcap) * head.softcap
    return cross_entropy(logits, batch.labels[chosen], reduction="sum")
