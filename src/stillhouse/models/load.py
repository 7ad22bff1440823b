"""From a name to a model that is ready to play a role: "embedded", a folder, a .gguf file, or a Hugging Face id."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from stillhouse.errors import ModelError
from stillhouse.models.embedded import embedded_folder
from stillhouse.models.forward import head_of
from stillhouse.models.tokenise import end_of_turn

PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['content'] }}"
    "{{ eos_token if message['role'] == 'assistant' else '\\n' }}{% endfor %}"
)
"""For a tokenizer without a chat template: every turn on a line of its own, the answer ended by the end of sequence."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model with its tokenizer, under the name by which it was asked for.

    The tokenizer always has a chat template: its own, or `PLAIN_TEMPLATE` (then `plain_chat` is true).
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str

    @property
    def vocabulary(self) -> int:
        """Number of tokens that the tokenizer knows."""
        return len(self.tokenizer)

    @property
    def head_rows(self) -> int:
        """Rows of the output head: the vocabulary and whatever padding the model was published with."""
        return head_of(self.model).weight.shape[0]

    @property
    def window(self) -> int | None:
        """Most tokens of prompt and answer together; None when the model does not say."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)

    @property
    def parameters(self) -> int:
        """Number of weights; a head that is tied to the embeddings counts once."""
        return sum(weight.numel() for weight in self.model.parameters())

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """Tokens that end an answer, by the tokenizer or by the model's generation settings."""
        generation = self.model.generation_config
        told = generation.eos_token_id if generation else None
        ids = [self.tokenizer.eos_token_id, *(told if isinstance(told, list) else [told])]
        return tuple(sorted({i for i in ids if isinstance(i, int)}))

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Tokens at which sampling an answer stops: the template's own end of turn first, then `eos_ids`."""
        first = end_of_turn(self.tokenizer)
        return (first, *(i for i in self.eos_ids if i != first))

    @property
    def pad_id(self) -> int:
        """The padding token, else an end of sequence: padding is masked, so any token serves."""
        pad = self.tokenizer.pad_token_id
        return pad if isinstance(pad, int) else next(iter(self.eos_ids), 0)

    @property
    def plain_chat(self) -> bool:
        """Whether the tokenizer came without a chat template."""
        return str(self.tokenizer.chat_template).endswith(PLAIN_TEMPLATE)


def load(name: str, *, dtype: str = "auto", device: torch.device | str | None = None) -> LanguageModel:
    """Load a model in evaluation mode. Code that a model brings along is never run, nor are pickled weights read.

    Args:
        name: "embedded", a folder, a .gguf file, or a Hugging Face id.
        dtype: "float32", "bfloat16", "float16", or "auto": bfloat16 where the machine is fast in it, else float32.
        device: where to; by default the accelerator, if there is one.

    Raises:
        ModelError: the model is missing, incomplete, or no causal language model.
    """
    where = torch.device(device) if device is not None else default_device()
    precision = fast_dtype(where) if dtype == "auto" else DTYPES[dtype]
    source, file = locate(name)
    with quiet(), told_plainly(name):
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=file, trust_remote_code=False)
        model = read_weights(name, source, file, precision)
    with_chat_template(tokenizer)
    torch.nn.Module.to(model.eval(), where)
    return LanguageModel(model, tokenizer, name)


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a model, named as for `load`, without its weights. Raises ModelError as `load` does."""
    source, file = locate(name)
    with quiet(), told_plainly(name):
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=file, trust_remote_code=False)
    with_chat_template(tokenizer)
    return tokenizer


def locate(name: str) -> tuple[str, str | None]:
    """The folder or Hugging Face id to read, and the file in it if the model is one GGUF file."""
    if name == "embedded":
        return str(embedded_folder()), None
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelError(f"the folder {name} has no config.json; name a folder that holds a Hugging Face model.")
        return str(path), None
    if path.is_file():
        if path.suffix != ".gguf":
            raise ModelError(f"{name} is a file, not a model; name its folder, a .gguf file, or a Hugging Face id.")
        return str(path.parent), path.name
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or path.suffix == ".gguf":
        raise ModelError(f"there is no model at {name}; name a folder, a .gguf file, a Hugging Face id, or 'embedded'.")
    return name, None


def read_weights(name: str, source: str, file: str | None, dtype: torch.dtype) -> PreTrainedModel:
    """The model, whole: tensors that its files lack are an error, where transformers would make them up."""
    how = {"gguf_file": file, **dequantised()} if file else {"use_safetensors": True}
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        source, dtype=dtype, trust_remote_code=False, output_loading_info=True, **how
    )
    model, report = loaded
    if missing := sorted(report["missing_keys"]):
        raise ModelError(
            f"{name} lacks {len(missing)} tensors of a {model.config.model_type}, the first is {missing[0]}; "
            "its files are incomplete or belong to another architecture: fetch it again."
        )
    return model


def dequantised() -> dict[str, Any]:
    """What unpacks the weights of a GGUF file: older transformers always do, newer ones where they are told."""
    config = getattr(transformers, "GgufConfig", None)
    return {} if config is None else {"quantization_config": config(dequantize=True)}


def with_chat_template(tokenizer: PreTrainedTokenizerBase) -> None:
    """Give the plain template to a tokenizer without one, begun as the tokenizer begins a text."""
    if tokenizer.chat_template:
        return
    begins = tokenizer.bos_token_id is not None and tokenizer.encode("x")[0] == tokenizer.bos_token_id
    tokenizer.chat_template = ("{{ bos_token }}" if begins else "") + PLAIN_TEMPLATE


def default_device() -> torch.device:
    """The accelerator, if there is one, else the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies matrices in it (CUDA from Ampere on; AMX or AVX512-BF16), else float32."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        can = torch.cpu.get_capabilities()
        fast = device.type == "cpu" and bool(can.get("amx_bf16") or can.get("avx512_bf16") or can.get("bf16"))
    return torch.bfloat16 if fast else torch.float32


UNFIT = (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError, StrictDataclassError)
"""What transformers raises about a missing, broken or unfit model."""


@contextmanager
def told_plainly(name: str) -> Iterator[None]:
    """Turn what transformers raises into one sentence."""
    try:
        yield
    except UNFIT as error:
        raise ModelError(
            f"cannot load '{name}': {first_line(error)}. Name a folder, a .gguf file, a Hugging Face id "
            "of a causal language model in safetensors, or 'embedded'."
        ) from error


def first_line(error: Exception) -> str:
    """The first line of what went wrong, without its full stop."""
    root = error.__cause__ if isinstance(error, StrictDataclassError) and error.__cause__ else error
    text = next((line.strip() for line in str(root).splitlines() if line.strip()), type(root).__name__)
    if "couldn't connect" in text:
        return "it is not on this machine and huggingface.co cannot be reached"
    return text.rstrip(".")


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars, reports and retry notices while a model is read: the error, if any, says it all."""
    hub = logging.getLogger("huggingface_hub")
    levels, bars = (hub.level, transformers_logging.get_verbosity()), transformers_logging.is_progress_bar_enabled()
    hub.setLevel(logging.ERROR)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        hub.setLevel(levels[0])
        transformers_logging.set_verbosity(levels[1])
        if bars:
            transformers_logging.enable_progress_bar()
