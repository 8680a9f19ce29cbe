"""Factors that make sigma mean what it says: conformal quantiles on held-out frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from gam_depth_ros.core.model_spec import SigmaCalibration
from gam_depth_training.batch import Batch
from gam_depth_training.networks import LAPLACE_68, JointNetwork

PIXELS_PER_FRAME = 2000


def normalised_residuals(
    network: JointNetwork, batches: list[Batch], seed: int = 0
) -> npt.NDArray[np.float64]:
    """Return |log-depth residual| / sigma at random pixels with truth, every frame alike.

    The residual is taken after each frame's median offset, as the scale would remove it.
    """
    rng = np.random.default_rng(seed)
    ratios: list[npt.NDArray[np.float64]] = []
    network.eval()
    for batch in batches:
        with torch.no_grad():
            prediction = network(batch.image)
        sigma = (LAPLACE_68 * prediction.log_b.exp()).numpy()[:, 0]
        depth, truth = prediction.depth.numpy()[:, 0], batch.depth_m.numpy()[:, 0]
        for index in range(len(truth)):
            pixels = np.flatnonzero(truth[index] > 0)
            if not len(pixels):
                continue
            residual = np.log(depth[index].ravel()[pixels]) - np.log(truth[index].ravel()[pixels])
            residual = np.abs(residual - np.median(residual)).astype(np.float64)
            chosen = rng.integers(0, len(pixels), PIXELS_PER_FRAME)
            ratios.append(residual[chosen] / sigma[index].ravel()[pixels[chosen]])
    return np.concatenate(ratios)


def fit_calibration(ratios: npt.NDArray[np.float64], data: str) -> SigmaCalibration:
    """Take the factors as quantiles of the normalised residuals.

    Split conformal prediction (Vovk et al. 2005; Angelopoulos & Bates 2021): the factor of an
    interval of level p is the p-quantile of |residual| / sigma on data that did not train.

    Args:
        ratios: From :func:`normalised_residuals`.
        data: Name of the data, written into the model.
    """
    k68, k90, k95 = (float(np.quantile(ratios, level)) for level in (0.683, 0.90, 0.954))
    return SigmaCalibration(k68=k68, k90=k90, k95=k95, data=data)
