from __future__ import annotations

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from tiny_model import tiny_labels, write_tiny_model

from gam_depth_ros.core.labels import NYU13
from gam_depth_training.custom_segmenter import CustomSegmenter, read_segmenter_file
from gam_depth_training.label_maps import NYU40_TO_NYU13, LabelMap, label_map
from gam_depth_training.proxy_labels import (
    OnnxModelSegmenter,
    RefineNetSegmenter,
    gate,
    labels_of_scores,
    read_label_file,
)
from gam_depth_training.refinenet import LightWeightRefineNet, load_refinenet
from gam_depth_training.video_batch import IGNORED_LABEL


class Brightness(torch.nn.Module):
    """Two classes: dark and bright, by the first channel of the normalised picture."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([-x[:, 0], x[:, 0]], 1)


@pytest.fixture
def half_bright():
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[:, 32:] = 255
    return rgb


def segmenter_file(tmp_path, model, text=""):
    file = tmp_path / "segmenter.yaml"
    file.write_text(f"model: {model}\nmean: [0.5, 0.5, 0.5]\nstd: [0.5, 0.5, 0.5]\n{text}")
    return file


def test_unsure_pixels_lose_their_label():
    labels = np.array([[3, 4, 5]], np.uint8)
    confidence = np.array([[0.9, 0.49, np.nan]], np.float32)
    assert gate(labels, confidence, 0.5).tolist() == [[3, IGNORED_LABEL, IGNORED_LABEL]]


def test_every_nyu40_class_has_a_class_of_the_robots_label_set():
    assert len(NYU40_TO_NYU13) == 40
    assert set(NYU40_TO_NYU13.values()) == set(NYU13.names)
    mapping = label_map("nyu40_to_nyu13", 40)
    assert mapping.ids[:3] == (NYU13.id_of("wall"), NYU13.id_of("floor"), NYU13.id_of("furniture"))


def test_classes_that_become_one_add_up_their_probability():
    mapping = LabelMap("halves", (0, 0, 1), 2)
    scores = np.array([0.3, 0.3, 0.4], np.float32)[:, None, None]
    labels, confidence = labels_of_scores(scores, mapping)
    assert labels.item() == 0
    assert confidence.item() == pytest.approx(0.6)


def test_pixels_of_an_ignored_class_get_no_label():
    mapping = LabelMap("void", (0, IGNORED_LABEL), 1)
    labels, _ = labels_of_scores(np.array([[[0.2]], [[0.8]]], np.float32), mapping)
    assert labels.item() == IGNORED_LABEL


def test_a_label_map_of_another_length_is_refused():
    with pytest.raises(ValueError, match="got 40 classes from the segmenter, expected 2"):
        labels_of_scores(np.zeros((40, 1, 1), np.float32), LabelMap("short", (0, 1), 2))


def test_the_models_own_head_labels_a_picture_of_any_size(tmp_path, half_bright):
    write_tiny_model(tmp_path / "tiny.onnx", (48, 64))
    segmenter = OnnxModelSegmenter(tmp_path / "tiny.onnx", threads=1)
    large = np.ascontiguousarray(half_bright.repeat(2, 0).repeat(2, 1))
    labels, confidence = segmenter(large)

    assert segmenter.classes == 13
    assert (labels == tiny_labels(large)).all()
    assert confidence.shape == labels.shape
    assert confidence.min() > 0.9


@pytest.mark.parametrize("kind", ["torchscript", "onnx"])
def test_a_described_network_labels_as_it_would_itself(kind, tmp_path, half_bright):
    if kind == "torchscript":
        torch.jit.trace(Brightness(), torch.zeros(1, 3, 8, 8)).save(str(tmp_path / "net.pt"))
        name = "net.pt"
    else:
        name = "net.onnx"
        write_brightness_onnx(tmp_path / name)
    text = "label_map: [11, 4]\n"
    segmenter = CustomSegmenter(read_segmenter_file(segmenter_file(tmp_path, name, text)))
    labels, confidence = segmenter(half_bright)

    assert (labels[:, :32] == 11).all()
    assert (labels[:, 32:] == 4).all()
    assert confidence == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-5)


class Ids(torch.nn.Module):
    """Void in the dark, 1 or 3 in the light."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        rows = torch.arange(image.shape[2])[:, None]
        return torch.where(image[:, 0] > 0, torch.where(rows < 4, 1, 3), -1)


@pytest.mark.parametrize(("ignore", "upper"), [("", 7), ("ignore: 1\n", IGNORED_LABEL)])
def test_ids_of_void_and_of_an_ignored_class_get_no_label(tmp_path, half_bright, ignore, upper):
    torch.jit.trace(Ids(), torch.zeros(1, 3, 8, 8)).save(str(tmp_path / "net.pt"))
    text = f"output: labels\nlabel_map: [0, 7, 2, 9]\n{ignore}"
    segmenter = CustomSegmenter(read_segmenter_file(segmenter_file(tmp_path, "net.pt", text)))
    labels, _ = segmenter(half_bright)
    assert (labels[:, :32] == IGNORED_LABEL).all()
    assert (labels[:4, 32:] == upper).all()
    assert (labels[4:, 32:] == 9).all()


def write_brightness_onnx(path):
    nodes = [
        helper.make_node("Split", ["x"], ["r", "g", "b"], axis=1, num_outputs=3),
        helper.make_node("Neg", ["r"], ["dark"]),
        helper.make_node("Concat", ["dark", "r"], ["logits"], axis=1),
    ]
    entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "h", "w"])
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 2, "h", "w"])
    graph = helper.make_graph(nodes, "brightness", [entry], [output])
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), str(path))


def test_channel_order_decides_which_colour_comes_first(tmp_path):
    write_brightness_onnx(tmp_path / "net.onnx")
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    found = []
    for order in ("rgb", "bgr"):
        text = f"label_map: same\nchannel_order: {order}\n"
        spec = read_segmenter_file(segmenter_file(tmp_path, "net.onnx", text))
        found.append(CustomSegmenter(spec)(red)[0][0, 0])
    assert found == [1, 0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("colour: rgb\n", "unknown key 'colour'"),
        ("channel_order: grey\n", "channel_order: got 'grey'"),
        ("output: heat\n", "output: got 'heat'"),
        ("std: [0, 1, 1]\n", "not zero"),
        ("mean: [1, 2]\n", "three values"),
    ],
)
def test_a_wrong_segmenter_file_says_which_key(text, reason, tmp_path):
    file = tmp_path / "segmenter.yaml"
    file.write_text(f"model: net.onnx\n{text}")
    with pytest.raises(ValueError, match=rf"segmenter\.yaml: .*{reason}"):
        read_segmenter_file(file)


def test_an_output_of_another_shape_than_described_is_refused(tmp_path, half_bright):
    write_brightness_onnx(tmp_path / "net.onnx")
    spec = read_segmenter_file(segmenter_file(tmp_path, "net.onnx", "output: labels\n"))
    with pytest.raises(ValueError, match=r"got an output \(1, 2, 48, 64\), expected 1×h×w"):
        CustomSegmenter(spec)(half_bright)


def test_a_missing_model_of_a_segmenter_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"gone\.onnx: got no file"):
        CustomSegmenter(read_segmenter_file(segmenter_file(tmp_path, "gone.onnx")))


@pytest.mark.parametrize(("depth", "millions"), [(50, 27), (101, 46), (152, 62)])
def test_refinenet_has_as_many_parameters_as_published(depth, millions):
    with torch.device("meta"):
        network = LightWeightRefineNet(depth, 40)
    count = sum(p.numel() for p in network.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.6)


def test_refinenet_parameters_carry_the_names_of_the_public_checkpoints():
    with torch.device("meta"):
        names = {k: tuple(v.shape) for k, v in LightWeightRefineNet(101).state_dict().items()}
    assert names["layer3.22.bn3.running_var"] == (1024,)
    assert names["layer1.0.downsample.0.weight"] == (256, 64, 1, 1)
    assert names["p_ims1d2_outl1_dimred.weight"] == (512, 2048, 1, 1)
    assert names["mflow_conv_g1_pool.0.4_outvar_dimred.weight"] == (512, 512, 1, 1)
    assert names["mflow_conv_g1_b3_joint_varout_dimred.weight"] == (256, 512, 1, 1)
    assert names["adapt_stage4_b2_joint_varout_dimred.weight"] == (256, 256, 1, 1)
    assert "adapt_stage1_b2_joint_varout_dimred.weight" not in names
    assert "mflow_conv_g4_b3_joint_varout_dimred.weight" not in names
    assert names["clf_conv.weight"] == (40, 256, 3, 3)
    assert names["clf_conv.bias"] == (40,)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint as DataParallel and an old PyTorch leave it."""
    torch.manual_seed(0)
    network = LightWeightRefineNet(50, 40)
    state = {
        f"module.{name}": value
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    path = tmp_path_factory.mktemp("refinenet") / "lw50.pth"
    torch.save({"state_dict": state}, path)
    return network.eval(), path


def test_a_refinenet_file_loads_and_tells_its_own_depth(checkpoint):
    network, path = checkpoint
    loaded = load_refinenet(path)
    image = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        logits = loaded(image)
        assert logits.shape == (1, 40, 16, 24)
        assert torch.equal(logits, network(image))


def test_refinenet_labels_are_those_of_the_map_at_the_pictures_size(checkpoint):
    _, path = checkpoint
    rgb = np.random.default_rng(0).integers(0, 255, (50, 70, 3), np.uint8)
    same, _ = RefineNetSegmenter(path, "same")(rgb)
    segmenter = RefineNetSegmenter(path)
    mapped, confidence = segmenter(rgb)

    assert same.shape == mapped.shape == confidence.shape == (50, 70)
    assert same.max() < 40
    assert mapped.max() < 13
    assert ((confidence > 0) & (confidence <= 1)).all()


def test_a_checkpoint_of_another_network_says_which_names_do_not_fit(checkpoint, tmp_path):
    state = {k: v for k, v in checkpoint[0].state_dict().items() if k != "clf_conv.bias"}
    torch.save({**state, "extra.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth: got 1 .*clf_conv\.bias.*extra\.weight"):
        load_refinenet(tmp_path / "other.pth")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"expected Light-weight RefineNet"):
        load_refinenet(tmp_path / "other.pth")


@pytest.mark.parametrize("content", [None, b"", b"not a checkpoint", b"PK\x03\x04half a zip"])
def test_a_file_that_is_no_checkpoint_is_one_clear_error(content, tmp_path):
    file = tmp_path / "file.pth"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=r"file\.pth: got .*expected a state dict"):
        load_refinenet(file)


def test_label_files_of_another_size_or_with_unknown_ids_are_refused(tmp_path):
    file = tmp_path / "labels.png"
    cv2.imwrite(str(file), np.full((4, 6), 12, np.uint8))
    assert read_label_file(file, (4, 6), 13).shape == (4, 6)
    with pytest.raises(ValueError, match="got proxy labels of 6x4, expected 12x8"):
        read_label_file(file, (8, 12), 13)
    with pytest.raises(ValueError, match="got the id 12, expected 0 to 11"):
        read_label_file(file, (4, 6), 12)
    with pytest.raises(ValueError, match="got no readable file"):
        read_label_file(tmp_path / "gone.png", (4, 6), 13)
