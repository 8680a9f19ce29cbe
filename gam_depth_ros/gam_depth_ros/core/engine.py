"""Runs the network: ONNX Runtime with the provider asked for, and honesty about the one in use."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime

from gam_depth_ros.core.config import EngineConfig
from gam_depth_ros.core.model_contract import check_outputs, check_signature
from gam_depth_ros.core.model_file import ModelFile, read_model_file
from gam_depth_ros.core.model_spec import (
    INPUT_NAME,
    METADATA_KEY,
    OPTIONAL_OUTPUTS,
    REQUIRED_OUTPUTS,
    ModelContractError,
    ModelSpec,
    NetworkOutput,
)
from gam_depth_ros.core.providers import (
    CPU,
    PROVIDERS,
    provider_in_use,
    warn_if_not_as_asked,
)

_SIGNATURE_OUTPUTS = REQUIRED_OUTPUTS + OPTIONAL_OUTPUTS

_log = logging.getLogger(__name__)


class EngineError(RuntimeError):
    """ONNX Runtime could not load or run the model. The message is one line."""


class Engine(Protocol):
    """Anything that turns a prepared picture into a network output."""

    @property
    def spec(self) -> ModelSpec:
        """The model's contract."""

    @property
    def provider(self) -> str:
        """The execution provider in use, for example ``CPUExecutionProvider``."""

    @property
    def precision(self) -> str:
        """The arithmetic in use: ``float32``, ``float16`` or ``int8``."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the model file, hexadecimal."""

    @property
    def info(self) -> dict[str, str]:
        """What diagnostics say about the engine."""

    def run(self, batch: npt.NDArray[np.uint8]) -> NetworkOutput:
        """Run the network on a 1×h×w×3 uint8 RGB batch."""

    def interrupt(self) -> None:
        """Make the inference that runs, if any, fail; may be called from another thread."""


class OnnxEngine:
    """The network run by ONNX Runtime.

    The model is checked against its contract, then run at least once, so that a file that cannot
    serve is refused here and not at the first frame. Not to be used from two threads at a time.

    Args:
        path: The ONNX file.
        config: Providers in order of preference, threads, warm-up.

    Raises:
        ModelContractError: the file is missing, malformed or breaks the contract.
        EngineError: an unknown provider name, or ONNX Runtime cannot load or run the model.
    """

    def __init__(self, path: str | Path, config: EngineConfig | None = None) -> None:
        config = config or EngineConfig()
        asked = _provider_names(config.providers)
        self._file = read_model_file(path)
        self._config = config
        self._running: onnxruntime.RunOptions | None = None
        self._session = _create_session(self._file, config, asked)
        self._spec = _read_spec(self._session, self._file.path)
        try:
            check_signature(self._session.get_inputs(), self._session.get_outputs(), self._spec)
            self._outputs = [name for name in _SIGNATURE_OUTPUTS if name in self._spec.outputs]
            self._warm_up()
        except ModelContractError as error:
            raise ModelContractError(f"model file {self._file.path}: {error}") from error
        self._provider = provider_in_use(self._session)
        warn_if_not_as_asked(asked, self._provider)

    @property
    def spec(self) -> ModelSpec:
        """The model's contract."""
        return self._spec

    @property
    def takes_any_size(self) -> bool:
        """Whether the file leaves height and width of the input open."""
        sides = self._session.get_inputs()[0].shape[1:3]
        return not any(isinstance(side, int) for side in sides)

    @property
    def sha256(self) -> str:
        """SHA-256 of the model file, hexadecimal."""
        return self._file.sha256

    @property
    def provider(self) -> str:
        """The execution provider that runs the network, as ONNX Runtime calls it."""
        return self._provider

    @property
    def precision(self) -> str:
        """The arithmetic in use: ``float32``, ``float16`` or ``int8``."""
        if self._file.computes_in_int8:
            return "int8"
        # ONNX Runtime has no half-precision kernels on the CPU: it casts such weights at load.
        half = self._file.computes_in_float16 and self._provider != CPU
        return "float16" if half else "float32"

    @property
    def info(self) -> dict[str, str]:
        """What diagnostics say about the engine, in words."""
        return {
            "model": self._spec.name,
            "path": str(self._file.path),
            "sha256": self.sha256,
            "input": "x".join(str(side) for side in self._spec.input_size_hw),
            "provider": self.provider,
            "providers_asked": ", ".join(self._config.providers),
            "precision": self.precision,
            "stored_weights": self._file.stored_weights,
            "threads": str(self._config.threads or "all"),
            "onnxruntime": str(onnxruntime.__version__),
            "calibrated_on": self._spec.sigma_calibration.data or "uncalibrated",
        }

    def run(self, batch: npt.NDArray[np.uint8]) -> NetworkOutput:
        """Run the network.

        Args:
            batch: 1×h×w×3 uint8 RGB at the spec's input size.

        Raises:
            EngineError: a batch of another shape or type, or ONNX Runtime failed.
        """
        check_batch(batch, self._spec.input_size_hw)
        return self.infer(batch)

    def infer(self, batch: npt.NDArray[np.uint8]) -> NetworkOutput:
        """Run the network on a batch of any size; ONNX Runtime refuses what it cannot take."""
        options = onnxruntime.RunOptions()
        options.log_severity_level = 4  # what fails is raised and said once, by whoever called
        self._running = options
        feeds = {INPUT_NAME: np.ascontiguousarray(batch)}
        try:
            values = self._session.run(self._outputs, feeds, options)
        except Exception as error:  # ONNX Runtime's own classes share no other base
            raise EngineError(f"engine: got '{one_line(error)}' while running the model") from error
        finally:
            self._running = None
        arrays = {name: value[0] for name, value in zip(self._outputs, values, strict=True)}
        return NetworkOutput(**arrays)

    def interrupt(self) -> None:
        """Make the inference that runs, if any, fail; the next one runs as ever.

        ONNX Runtime looks at the flag between two operators: one that never returns goes on.
        """
        if (running := self._running) is not None:
            running.terminate = True

    def _warm_up(self) -> None:
        """Run on a ramp from black to white, at least once, and check the result."""
        height, width = self._spec.input_size_hw
        ramp = np.linspace(0, 255, width).astype(np.uint8)
        batch = np.broadcast_to(ramp[None, None, :, None], (1, height, width, 3))
        for _ in range(max(1, self._config.warmup_runs)):
            output = self.run(batch)
        check_outputs(output, self._spec)


def check_batch(batch: npt.NDArray[np.uint8], size_hw: tuple[int, int]) -> None:
    """Raise EngineError for a batch that is not one uint8 RGB picture of a size."""
    expected = (1, *size_hw, 3)
    if batch.shape != expected or batch.dtype != np.uint8:
        raise EngineError(
            f"engine: got a batch {batch.shape} {batch.dtype}, expected {expected} uint8; "
            "use preprocessing.prepare"
        )


def _provider_names(short_names: tuple[str, ...]) -> list[str]:
    unknown = [name for name in short_names if name not in PROVIDERS]
    if unknown or not short_names:
        raise EngineError(
            f"providers: got {', '.join(short_names) or 'none'}, expected one or more of "
            f"{', '.join(PROVIDERS)}"
        )
    return [PROVIDERS[name] for name in short_names]


def _create_session(
    model: ModelFile, config: EngineConfig, asked: list[str]
) -> onnxruntime.InferenceSession:
    available = onnxruntime.get_available_providers()
    for name in asked:
        if name not in available:
            _log.warning(
                "%s was asked for but this onnxruntime offers %s: skipped; install the "
                "onnxruntime build that has it (onnxruntime-gpu for CUDA and TensorRT)",
                name,
                ", ".join(available),
            )
    providers = [name for name in asked if name in available]
    if CPU not in providers:
        providers.append(CPU)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = config.threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3  # errors only: what matters is said by this module, in one line
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    # Threads that spin from operator to operator are a third faster than threads that sleep, but
    # left alone they spin on after the run, on the very cores that then publish its outputs.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if not model.computes_in_int8:
        # Only the weights are stored in INT8: without this their DequantizeLinear nodes are kept
        # for a quantised kernel that never comes, and run again for every frame.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    try:
        return onnxruntime.InferenceSession(model.data, options, providers=providers)
    except Exception as error:  # ONNX Runtime's own classes share no other base
        raise ModelContractError(
            f"model file {model.path}: got '{one_line(error)}' from ONNX Runtime "
            f"{onnxruntime.__version__}, expected a model it can load; export the model again"
        ) from error


def _read_spec(session: onnxruntime.InferenceSession, path: Path) -> ModelSpec:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ModelContractError(
            f"model file {path}: got no '{METADATA_KEY}' in its metadata, expected a model written "
            "by `gam-depth-train export`; export the model again"
        )
    try:
        return ModelSpec.from_json(text)
    except ModelContractError as error:
        raise ModelContractError(f"model file {path}: {error}") from error


def one_line(error: Exception) -> str:
    """Return an error's text on one line of at most 300 characters."""
    return " ".join(str(error).split())[:300]
