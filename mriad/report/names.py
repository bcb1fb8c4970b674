"""What metrics are called where a person reads them."""

from __future__ import annotations

IMAGE = (
    ("auroc", "AUROC"),
    ("average_precision", "average precision"),
    ("balanced_accuracy", "balanced accuracy"),
    ("accuracy", "accuracy"),
    ("no_information_rate", "no-information rate"),
    ("precision", "precision"),
    ("recall", "recall (sensitivity)"),
    ("specificity", "specificity"),
    ("false_positive_rate", "false positive rate"),
    ("f1", "F1"),
)
PIXEL = (
    ("pixel_ap", "pixel AP"),
    ("pixel_auroc", "pixel AUROC"),
    ("pixel_aupro", "pixel AUPRO (30 % FPR)"),
    ("dice", "Dice"),
    ("dice_per_scan", "Dice per scan"),
    ("dice_oracle", "Dice, oracle threshold"),
    ("pointing", "peak inside the lesion"),
)
LESION = (
    ("lesion_sensitivity", "lesions hit, 1 FP/scan"),
    ("lesion_sensitivity_oracle", "lesions hit, oracle"),
    ("lesion_recall", "lesion recall"),
)
BY_SIZE = (
    ("recall", "recall of scans"),
    ("lesion_sensitivity", "lesions hit, 1 FP/scan"),
    ("lesion_sensitivity_oracle", "lesions hit, oracle"),
    ("lesion_recall", "lesion recall"),
    ("lesion_false_positives", "false components, 1 FP/scan"),
    ("false_components", "false components per scan"),
    ("pixel_ap", "pixel AP"),
    ("lesion_share", "pixel AP by chance"),
    ("pixel_aupro", "pixel AUPRO (30 % FPR)"),
    ("dice", "Dice"),
    ("dice_per_scan", "Dice per scan"),
    ("dice_oracle", "Dice, oracle threshold"),
    ("pointing", "peak inside the lesion"),
)
PIXEL_WITH_HEALTHY = (
    ("pixel_ap_all", "pixel AP"),
    ("pixel_auroc_all", "pixel AUROC"),
    ("dice_all", "Dice"),
    ("dice_oracle_all", "Dice, oracle threshold"),
    ("lesion_sensitivity_oracle_all", "lesions hit, oracle"),
)
# beside these ``patient/<name>`` for each name of IMAGE
VOLUME = (
    ("slice/auroc", "AUROC of slices"),
    ("slice/average_precision", "average precision of slices"),
    ("slice/auroc_within_patients", "AUROC of slices, within patients"),
    ("slice/average_precision_within_patients", "average precision of slices, within patients"),
    ("lesion_volume_bias", "lesion volume, bias (ml)"),
    ("lesion_volume_loa_lower", "lesion volume, lower limit of agreement (ml)"),
    ("lesion_volume_loa_upper", "lesion volume, upper limit of agreement (ml)"),
    ("lesion_volume_ccc", "lesion volume, concordance (CCC)"),
)
LABELS = dict(IMAGE + PIXEL) | {"support": "scans"}


def p_value(p: float) -> str:
    """A p-value as it is printed: 'p < 0.001' or 'p = 0.031'."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
