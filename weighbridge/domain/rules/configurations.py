"""Rules about configurations, templates and code: what makes a loader run, import, fetch or read something."""

from __future__ import annotations

from weighbridge.domain.rules.interface import Rule

RULES = (
    Rule(
        "config.remote-code",
        "error",
        "A configuration makes a loader run code of the publisher.",
        "`auto_map` in config.json",
        "runs code of the publisher on load",
    ),
    Rule(
        "config.other-repository",
        "error",
        "A configuration makes a loader run code of another repository, whose bytes are not scanned.",
        "`auto_map: {AutoModel: other/repository--modeling.Model}`",
        "fetches from elsewhere on load",
    ),
    Rule(
        "config.dangerous-target",
        "error",
        "A configuration names a function or class that can run programs or code.",
        "`_target_: os.system`",
        "runs a command or reaches the system on load",
    ),
    Rule(
        "config.imports",
        "error",
        "A configuration makes a loader import a module that no known package of models defines.",
        "`loader_module: my_loader` in MLmodel",
        "runs code of the publisher on load",
    ),
    Rule(
        "config.unpickles",
        "error",
        "A configuration switches a loader to unpickling, which runs any code in a file.",
        "`allow_pickle: true`",
        "runs code of the publisher on load",
    ),
    Rule(
        "config.native-library",
        "error",
        "A configuration makes a loader load a program library into its process.",
        "`custom_ops_library: ops.so`",
        "runs a command or reaches the system on load",
    ),
    Rule(
        "config.command",
        "error",
        "A configuration holds a command that a tool runs.",
        "`entry_points` of MLproject with `curl … | sh`",
        "runs a command or reaches the system on load",
    ),
    Rule(
        "config.reads-outside",
        "error",
        "A configuration names a file that is outside of the model.",
        "`transformers_weights: ../../x.safetensors`",
        "reads a file outside the model",
    ),
    Rule(
        "config.external-entity",
        "error",
        "An XML file declares an entity, a grammar or an inclusion that readers of XML fetch.",
        '`<!ENTITY x SYSTEM "file:///etc/passwd">`',
        "reads a file outside the model",
    ),
    Rule(
        "config.fetches",
        "error",
        "A configuration makes an installer or a loader fetch from an address that the publisher chose.",
        "`--index-url` in requirements.txt",
        "fetches from elsewhere on load",
    ),
    Rule(
        "config.unknown-tag",
        "warning",
        "A YAML tag is of an application that is not known here, and may run code of its own.",
        "`!Widget`",
    ),
    Rule(
        "config.known-class",
        "note",
        "A configuration names classes of known packages, which a loader builds with the publisher's settings.",
        "`_target_: nemo.collections.asr.models.EncDecCTCModel`",
    ),
    Rule(
        "config.unsafe-tag",
        "error",
        "A YAML tag makes Python create an object or call a function while the file is read.",
        "`!!python/object/apply:os.system`",
        "runs a command or reaches the system on load",
    ),
    Rule(
        "config.invalid",
        "error",
        "A configuration cannot be read, so its effect on a loader is unknown.",
        "JSON that ends in the middle",
    ),
    Rule(
        "config.duplicate-key",
        "error",
        "A key occurs twice, and readers differ in which one counts.",
        '`{"a": 1, "a": 2}`',
    ),
    Rule("config.not-json", "warning", "It holds a value that JSON does not know.", "`NaN`"),
    Rule("config.limit", "error", "A configuration is larger or deeper than is read.", "a million keys"),
    Rule("index.invalid", "error", "An index of weights is not a list of file names by tensor.", "`weight_map: 1`"),
    Rule(
        "index.unsafe-path",
        "error",
        "An index or a list of modules names a path outside the model.",
        "`../../etc/passwd`",
        "reads a file outside the model",
    ),
    Rule(
        "readme.front-matter", "warning", "The front matter of the README cannot be read.", "YAML that does not parse"
    ),
    Rule(
        "template.internals",
        "error",
        "A chat template reaches for Python's internals.",
        "`{{ x.__class__ }}`",
        "runs a command or reaches the system on load",
    ),
    Rule(
        "template.gateway",
        "error",
        "A chat template uses an object of Jinja's or of a web framework that leads to Python's internals.",
        "`cycler.__init__`",
        "runs a command or reaches the system on load",
    ),
    Rule(
        "template.dynamic-attribute",
        "error",
        "A chat template makes up the name of an attribute while it runs.",
        "`x|attr(y)`",
        "runs a command or reaches the system on load",
    ),
    Rule(
        "template.include",
        "error",
        "A chat template loads another template.",
        "`{% include 'x' %}`",
        "reads a file outside the model",
    ),
    Rule(
        "template.endless",
        "error",
        "A chat template has loops or values that never end or never fit.",
        "`range(10**9)`",
    ),
    Rule("template.invalid", "error", "A chat template cannot be parsed.", "`{% if %}`"),
    Rule(
        "template.unsafe-name",
        "error",
        "A chat template has a name under which tools would save it outside the model's folder.",
        "`../../tmp/x`",
    ),
    Rule("template.too-large", "error", "A chat template is larger than is read.", "a template of 1 MB"),
    Rule("code.python", "warning", "A file is Python source of the publisher, for a person to read.", "`train.py`"),
    Rule(
        "code.run-by-name",
        "error",
        "A program runs a file because of its name.",
        "`handler.py`",
        "runs code of the publisher on load",
    ),
    Rule("code.script", "warning", "A file is a script of the publisher, for a person to read.", "`run.sh`"),
    Rule("code.source", "warning", "A file is source code of the publisher, for a person to read.", "`kernel.cu`"),
    Rule(
        "code.bytecode",
        "error",
        "A file is compiled Python, which a person cannot read.",
        "`model.pyc`",
        "runs code of the publisher on load",
    ),
    Rule(
        "code.executable", "error", "A file is a program or a library for a machine.", "an ELF file", "holds a program"
    ),
)
