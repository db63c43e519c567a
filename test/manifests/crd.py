"""Holds manifests to the schemas of custom resource definitions:
    python crd.py DEFINITIONS MANIFEST...
DEFINITIONS is a directory. Unknown fields are errors, as with kubectl's strict
validation. Rules in CEL are not looked at: only an API server runs them."""

import pathlib
import sys

import jsonschema
import yaml


def strict(schema):
    """Forbids, in place, fields that an object's schema does not name."""
    if isinstance(schema, dict):
        if "properties" in schema and "additionalProperties" not in schema:
            schema["additionalProperties"] = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
        for value in schema.values():
            strict(value)
    elif isinstance(schema, list):
        for value in schema:
            strict(value)
    return schema


def schemas(directory):
    for file in pathlib.Path(directory).glob("*.yaml"):
        for crd in yaml.safe_load_all(file.read_text()):
            if crd and crd["kind"] == "CustomResourceDefinition":
                spec = crd["spec"]
                for version in spec["versions"]:
                    if version["served"]:
                        yield (f"{spec['group']}/{version['name']}", spec["names"]["kind"]), version["schema"]["openAPIV3Schema"]


known = dict(schemas(sys.argv[1]))
for file in sys.argv[2:]:
    for manifest in yaml.safe_load_all(pathlib.Path(file).read_text()):
        kind = (manifest["apiVersion"], manifest["kind"])
        if kind not in known:
            sys.exit(f"{file}: no definition has {' '.join(kind)}")
        try:
            jsonschema.validate(manifest, strict(known[kind]))
        except jsonschema.ValidationError as e:
            sys.exit(f"{file}: {e.json_path}: {e.message}")
