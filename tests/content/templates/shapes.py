"""Constructs of chat templates as models publish them, written anew; none of them may be a finding.

The shapes are those of Llama 3, Qwen 3, DeepSeek, Mistral, Gemma, gpt-oss, Nemotron, Command R, Phi, GLM, Hermes,
Functionary, Kimi and Llama Guard.
"""

SHAPES = [
    "{{ bos_token }}{% if not date is defined %}{% set date = strftime_now('%d %b %Y') %}{% endif %}{{ date }}",
    "{% if messages[0]['role'] == 'system' %}{% set system = messages[0].content | trim %}"
    "{% set messages = messages[1:] %}{% else %}{% set system = '' %}{% endif %}{{ system }}",
    "{% for tool in tools or [] %}{{ tool | tojson(indent=4) }}{% endfor %}",
    "{% set ns = namespace(last=messages|length - 1, tool=true) %}{% for message in messages[::-1] %}"
    "{% set index = (messages|length - 1) - loop.index0 %}{% if ns.tool and message.role == 'user' %}"
    "{% set ns.last = index %}{% endif %}{% endfor %}{{ messages[ns.last].content }}",
    "{% for message in messages %}{% if message.role == 'tool' and messages[loop.index0 - 1].role != 'tool' %}"
    "{{ '<tool>' + message.content + '</tool>' }}{% endif %}{% endfor %}",
    "{% for m in messages %}{% set content = m.content if m.content is string else '' %}{% if '</think>' in content %}"
    "{% set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1] %}"
    "{% set content = content.split('</think>')[-1].lstrip('\\n') %}{{ thought ~ content }}{% endif %}{% endfor %}",
    "{% macro kind(spec, required, nullable=false) %}{% if spec.type == 'array' %}"
    "{{ kind(spec['items'], required) + '[]' }}{% elif spec.oneOf %}{% for variant in spec.oneOf %}"
    "{{ kind(variant, required) }}{% endfor %}{% elif spec.type is iterable and spec.type is not string %}"
    "{{ spec.type | join(' | ') }}{% else %}any{% endif %}{% endmacro %}"
    "{% for tool in tools %}{% for name, spec in tool.function.parameters.properties.items() %}"
    "{{ name ~ ': ' ~ kind(spec, tool.function.parameters.required or []) }}{% endfor %}{% endfor %}",
    "{% macro python(spec) %}{% set kinds = {'string': 'str', 'number': 'float'} %}{% if kinds[spec.type] is defined %}"
    "{{ kinds[spec.type] }}{% elif spec.type is iterable %}{% for t in spec.type %}{{ python({'type': t}) }}"
    "{% endfor %}{% endif %}{% endmacro %}{% for tool in tools %}{% set f = tool.function %}"
    "{% for p, fields in f.parameters.properties|items %}{{ p + ': ' + python(fields) }}{% endfor %}{% endfor %}",
    "{% for tool in tools %}{% for name in tool.parameters.properties %}"
    "{{ name ~ tool.parameters.properties[name]['description'] }}{% endfor %}{% endfor %}",
    "{% for tool in tools %}{% set p = tool.parameters.properties %}{% for key, field in [('maximum', 'Max'), "
    "('minLength', 'Least')] %}{% if key in p %}{{ field ~ '=' ~ p[key] }}{% endif %}{% endfor %}{% endfor %}",
    "{% macro extra(fields, handled) %}{% for key in fields %}{% if key not in handled %}"
    "{% set plain = key | replace('-', '_') | replace('$', '') %}"
    "{{ '<' ~ plain ~ '>' ~ (fields[key] | tojson | safe if fields[key] is mapping else fields[key] | string) }}"
    "{% endif %}{% endfor %}{% endmacro %}{% for tool in tools %}{{ extra(tool.function, ['name']) }}{% endfor %}",
    "{% set users = messages | selectattr('role', 'equalto', 'user') | list %}{% for m in messages %}"
    "{% if m == users[-1] %}{{ '[INST]' + m['content'] }}{% endif %}{% endfor %}",
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate: __class__ is no role.') }}{% endif %}{% endfor %}",
    "{% for m in messages %}{% for call in m.tool_calls %}{% set out = call.function | tojson %}{{ out[:-1] }}"
    "{% if call.id|length != 9 %}{{ raise_exception('id') }}{% endif %}{{ ', \"id\": \"' + call.id + '\"}' }}"
    "{% endfor %}{% endfor %}",
    "{% for message in messages %}{% set found = namespace(any=false) %}{% for m in messages[loop.index0:] %}"
    "{% if m.role == 'assistant' %}{% set found.any = true %}{% break %}{% endif %}{% endfor %}"
    "{% generation %}{{ message.content }}{% endgeneration %}{% endfor %}",
    "{% set categories = {'S1': 'Violence', 'S2': 'Fraud'} if categories is not defined else categories %}"
    "{% for key in categories %}{{ key + ': ' + categories[key] }}{% endfor %}",
    "{% set all = [{'role': 'system', 'content': 'Today is ' ~ today}] + messages %}{% set marks = {'user': '<u>', "
    "'system': '<s>'} %}{% for m in all %}{{ marks[m.role] }}{{ marks.get(m['role'], '') }}{% endfor %}",
    "{% set comma = joiner(', ') %}{% for m in messages %}{{ comma() ~ m.role }}{% endfor %}",
    "{% set lines = namespace(all='') %}{% for m in messages %}{% set lines.all = lines.all + m.content %}{% endfor %}"
    "{{ lines.all | trim | upper }}",
    "{% set parts = [] %}{% for m in messages %}{% set _ = parts.append(m.role ~ ': ' ~ m.content) %}{% endfor %}"
    "{{ parts | join('\\n') }}",
    "{% call(item) each(messages) %}{{ item.content }}{% endcall %}{% macro each(list) %}{% for item in list %}"
    "{{ caller(item) }}{% endfor %}{% endmacro %}",
    "{% for m in messages %}{% for part in m.content %}{% if part.type in ['image', 'image_url'] %}[IMG]"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}",
    "{{ messages | map(attribute='content') | list | last }}{{ messages | groupby('role') | length }}",
    "{{ '{} calls {}'.format(messages[0].role, 3) }}{{ '%s (%d)' | format(messages[0].role, messages | length) }}",
    "{{ 'Write __init__.py and __main__.py, and call super().__init__() first.' }}",
    "{% set text %}{% for m in messages %}{{ m.content }}{% endfor %}{% endset %}{{ text | trim }}",
    "{% filter upper %}{{ messages[0].role }}{% endfilter %}{% with n = 3 %}{{ messages[:n] }}{% endwith %}",
    "{% for tool in tools %}{{ tool.format }}{{ tool.items }}{{ tool.index }}{{ tool.title | default('', true) }}"
    "{% endfor %}",
    "{{ messages[0]['con' ~ 'tent'] }}{{ messages[0]['tnetnoc' | reverse] }}{{ messages[0]['CONTENT'.lower()] }}",
    "{% for m in messages recursive %}{{ m.role }}{% if m.children %}{{ loop(m.children) }}{% endif %}{% endfor %}",
    "{% set outer = namespace(previous=none) %}{% for m in messages %}{% if loop.previtem is defined and "
    "loop.previtem.role == m.role %}{{ loop.cycle('a', 'b') }}{% endif %}{% set outer.previous = m.role %}{% endfor %}",
    "{% for i in range(10) %}{% for j in range(9) %}{{ messages[j].content[i] }}{% endfor %}{% endfor %}",
]
