"""Write the shipped schema files from the fields and quantities that celltwin.core declares."""

from __future__ import annotations

from celltwin.schema import render_plugin_file, render_schema_file, schema_folder


def main() -> None:
    """Write ``plugInfo.json`` and ``generatedSchema.usda`` into the schema extension."""
    for name, text in (("plugInfo.json", render_plugin_file()), ("generatedSchema.usda", render_schema_file())):
        path = schema_folder() / name
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
