"""OpenAI's own client against the demo service: it must read every reply and recognize every error.

Usage: openai_client.py SERVICE_URL
"""

import base64
import json
import struct
import sys
import urllib.request

import openai

MODEL = "assay-queueing-model"
MESSAGES = [{"role": "user", "content": "When is the patient weighed?"}]


def connect(url, key="demo"):
    return openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0, timeout=60)


def post(url, path, body, token=None):
    headers = {"authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


def log_in(url, user):
    return post(url, "/login", {"username": user, "password": "demo"})["access_token"]


def refused(error, call):
    """The error that the call raises, which must be of this class."""
    try:
        call()
    except openai.APIError as raised:
        assert type(raised) is error, repr(raised)
        assert raised.code and raised.type, raised.body
        return raised
    raise AssertionError(f"no {error.__name__}")


def lists_models(url):
    models = list(connect(url).models.list())
    assert models[0].id == MODEL and len(models) == 2, models
    assert all(model.object == "model" and model.owned_by == "assay" for model in models)


def reads_a_whole_answer(url):
    reply = connect(url).chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=20)
    choice = reply.choices[0]
    assert choice.message.role == "assistant" and choice.message.content.strip(), reply
    assert choice.finish_reason == "length" and reply.usage.completion_tokens == 20, reply
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + 20, reply.usage


def reads_a_stream(url):
    stream = connect(url).chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        max_completion_tokens=20,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    texts = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    assert len(texts) == 20 and len({chunk.id for chunk in chunks}) == 1, chunks
    assert chunks[-2].choices[0].finish_reason == "length", chunks[-2]
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 20, chunks[-1]


def accumulates_a_stream(url):
    with connect(url).chat.completions.stream(model=MODEL, messages=MESSAGES) as stream:
        deltas = "".join(event.delta for event in stream if event.type == "content.delta")
        whole = stream.get_final_completion()
    assert deltas and whole.choices[0].message.content == deltas, whole
    assert whole.choices[0].finish_reason == "stop", whole


def reads_vectors_in_both_encodings(url):
    embeddings = connect(url).embeddings
    texts = ["serum potassium", "heart failure"]
    # Unless told otherwise the client asks for base64 and decodes it; told, it hands it on.
    decoded = embeddings.create(model="any", input=texts)
    floats = embeddings.create(model="any", input=texts, encoding_format="float")
    encoded = embeddings.create(model="any", input=texts, encoding_format="base64")
    assert decoded.usage.prompt_tokens == floats.usage.total_tokens > 0
    for i in range(2):
        vector = struct.unpack("<384f", base64.b64decode(encoded.data[i].embedding))
        assert tuple(decoded.data[i].embedding) == vector
        assert struct.pack("<384f", *floats.data[i].embedding) == struct.pack("<384f", *vector)
        assert abs(sum(x * x for x in vector) - 1) < 1e-5 and decoded.data[i].index == i
    one = embeddings.create(model="any", input=texts[0])
    assert len(one.data) == 1 and len(one.data[0].embedding) == 384


def recognizes_refusals(url):
    def ask(client, **more):
        return lambda: client.chat.completions.create(model=MODEL, messages=MESSAGES, **more)

    client = connect(url)
    assert refused(openai.AuthenticationError, ask(connect(url, "wrong"))).code == "unknown_token"
    nurse = connect(url, log_in(url, "nurse"))
    assert refused(openai.PermissionDeniedError, ask(nurse)).code == "missing_right"
    assert refused(openai.BadRequestError, ask(client, n=2)).code == "invalid_n"
    large = [{"role": "user", "content": "x" * 2_000_000}]
    too_large = lambda: client.chat.completions.create(model=MODEL, messages=large)
    assert refused(openai.APIStatusError, too_large).status_code == 413
    no_input = lambda: client.embeddings.create(model="any", input=[])
    assert refused(openai.BadRequestError, no_input).code == "invalid_input"
    for not_offered in [
        lambda: client.completions.create(model=MODEL, prompt="x"),
        lambda: client.responses.create(model=MODEL, input="x"),
    ]:
        assert refused(openai.NotFoundError, not_offered).code == "unknown_route"


def recognizes_failures(url):
    admin = log_in(url, "admin")
    ask = connect(url).chat.completions.create
    post(url, "/admin/fault", {"faults": ["errors=1"]}, admin)
    failed = refused(openai.InternalServerError, lambda: ask(model=MODEL, messages=MESSAGES))
    assert failed.body["stage"] == "generate", failed.body
    post(url, "/admin/fault", {"faults": ["errors=0", "stream-errors=1"]}, admin)
    stream = ask(model=MODEL, messages=MESSAGES, stream=True)
    assert refused(openai.APIError, lambda: list(stream)).code == "planted"
    post(url, "/admin/fault", {"faults": ["stream-errors=0"]}, admin)
    assert ask(model=MODEL, messages=MESSAGES).choices


CHECKS = [
    lists_models,
    reads_a_whole_answer,
    reads_a_stream,
    accumulates_a_stream,
    reads_vectors_in_both_encodings,
    recognizes_refusals,
    recognizes_failures,
]

for check in CHECKS:
    check(sys.argv[1])
    print(f"openai {openai.__version__}: {check.__name__.replace('_', ' ')}")
