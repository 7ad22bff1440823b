from pathlib import Path

import gguf as reference
import numpy as np
import pytest

from stillhouse.errors import ModelError
from stillhouse.models.gguf import FORMATS, read


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(6, 64)).astype(np.float32)


def write(path: Path, tensors: dict[str, tuple[np.ndarray, reference.GGMLQuantizationType]]) -> Path:
    writer = reference.GGUFWriter(path, "llama")
    writer.add_uint32("some.count", 7)
    writer.add_float32("some.epsilon", 1e-5)
    writer.add_bool("some.flag", True)
    writer.add_array("some.words", ["Ġa", "é", ""])
    writer.add_array("some.numbers", [3, 1, -2])
    for name, (raw, kind) in tensors.items():
        writer.add_tensor(name, raw, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_metadata_of_every_kind_is_read(tmp_path: Path) -> None:
    found = read(write(tmp_path / "a.gguf", {})).metadata
    assert found["general.architecture"] == "llama"
    assert found["some.count"] == 7
    assert found["some.epsilon"] == float(np.float32(1e-5))
    assert found["some.flag"] is True
    assert found["some.words"] == ["Ġa", "é", ""]
    assert found["some.numbers"] == [3, 1, -2]


@pytest.mark.parametrize("number", sorted(FORMATS))
def test_values_are_those_of_the_reference_decoder(tmp_path: Path, values: np.ndarray, number: int) -> None:
    kind = reference.GGMLQuantizationType(number)
    raw = reference.quantize(values, kind)
    before = (values[:1], reference.GGMLQuantizationType.F32)
    found = read(write(tmp_path / "a.gguf", {"before": before, "x": (raw, kind)}))
    expected = reference.dequantize(raw, kind).astype(np.float32)
    assert found.tensor("x").dtype == np.float32
    np.testing.assert_array_equal(found.tensor("x"), expected.reshape(values.shape))


def test_q4_1_by_hand(tmp_path: Path) -> None:
    packed = np.arange(16, dtype=np.uint8) | (np.uint8(15) - np.arange(16, dtype=np.uint8)) << 4
    block = np.concatenate([np.float16([0.5, -1.0]).view(np.uint8), packed])[None]
    found = read(write(tmp_path / "a.gguf", {"x": (block, reference.GGMLQuantizationType.Q4_1)}))
    up = 0.5 * np.arange(16) - 1.0
    np.testing.assert_array_equal(found.tensor("x")[0], np.concatenate([up, up[::-1]]))


def test_an_unknown_block_format_is_named(tmp_path: Path, values: np.ndarray) -> None:
    kind = reference.GGMLQuantizationType.Q5_0
    path = write(tmp_path / "a.gguf", {"x": (reference.quantize(values, kind), kind)})
    with pytest.raises(ModelError, match="'x' has type 6"):
        read(path).tensor("x")


@pytest.mark.parametrize("size", [0, 3, 10, 30, 120, 200])
def test_a_cut_file_is_refused(tmp_path: Path, size: int) -> None:
    whole = write(tmp_path / "a.gguf", {}).read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[:size])
    with pytest.raises(ModelError, match="not a complete GGUF file"):
        read(tmp_path / "cut.gguf")


def test_missing_tensor_data_is_refused(tmp_path: Path, values: np.ndarray) -> None:
    path = write(tmp_path / "a.gguf", {"x": (values, reference.GGMLQuantizationType.F32)})
    path.write_bytes(path.read_bytes()[: -values.nbytes // 2])
    with pytest.raises(ModelError, match="ends within tensor 'x'"):
        read(path).tensor("x")


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(ModelError, match="begins with"):
        read(tmp_path / "a.gguf")
