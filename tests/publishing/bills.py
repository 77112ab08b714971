"""The software bill of materials of a package: what its lock file has for it and all its extras, as CycloneDX."""

from publishing.packages import Package, uv


def bill_of_materials(package: Package) -> str:
    """Return the bill, as JSON."""
    return uv(
        "export", "--quiet", "--locked", "--package", package.name, "--no-dev", "--all-extras",
        "--preview-features", "sbom-export", "--format", "cyclonedx1.5",
    )  # fmt: skip
