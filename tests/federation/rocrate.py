"""rocrate.py - what RO-Crate 1.1 and the Five Safes profile 0.4 ask of a folder, read anew.

problems(folder) lists every rule that does not hold, in words; [] for a good crate.
"""
import hashlib
import json
import re

METADATA = "ro-crate-metadata.json"
PROFILE = "https://w3id.org/5s-crate/0.4"
SHP = "https://w3id.org/shp#"
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
STATUS = {f"http://schema.org/{w}ActionStatus" for w in ("Potential", "Active", "Completed", "Failed")}


def listed(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def types(entity):
    return listed(entity.get("@type"))


def references(value):
    """Every {"@id": ...} below an entity's properties."""
    if isinstance(value, list):
        for v in value:
            yield from references(v)
    elif isinstance(value, dict):
        if set(value) == {"@id"}:
            yield value["@id"]
        else:
            raise ValueError(f"not flattened: {value}")


class Reader:
    def __init__(self, folder):
        self.folder, self.wrong = folder, []
        self.document = json.loads((folder / METADATA).read_text(encoding="utf-8"))
        self.graph = self.document["@graph"]
        self.by_id = {e["@id"]: e for e in self.graph}

    def need(self, holds, words):
        if not holds:
            self.wrong.append(words)
        return holds

    def of(self, entity, key):
        return [self.by_id.get(r["@id"], {}) for r in listed(entity.get(key)) if "@id" in r]

    def read(self):
        self.structure()
        if METADATA in self.by_id and "./" in self.by_id:
            self.root()
            self.files()
            self.actions()
            self.people()
            self.witnesses()
        return self.wrong

    def structure(self):
        contexts = listed(self.document.get("@context"))
        self.need("https://w3id.org/ro/crate/1.1/context" in contexts, "the context is not RO-Crate 1.1's")
        self.need(set(self.document) == {"@context", "@graph"}, "more than @context and @graph")
        self.need(len(self.by_id) == len(self.graph), "an @id stands twice")
        for e in self.graph:
            self.need(types(e), f"{e['@id']} has no @type")
            self.need(isinstance(e.get("name"), str) and e["name"], f"{e['@id']} has no name")
            for key, value in e.items():
                try:
                    for r in references(value) if key != "@type" else ():
                        known = r in self.by_id or (key in ("conformsTo", "additionalType")
                                                    and r.startswith("https://w3id.org/"))
                        self.need(known, f"{e['@id']}.{key} refers to {r}, which is not there")
                except ValueError as why:
                    self.wrong.append(f"{e['@id']}.{key}: {why}")
        descriptor = self.by_id.get(METADATA)
        if self.need(descriptor, "no metadata descriptor"):
            self.need(types(descriptor) == ["CreativeWork"], "the descriptor is no CreativeWork")
            self.need(descriptor.get("about") == {"@id": "./"}, "the descriptor is about another root")
            self.need(descriptor.get("conformsTo") == {"@id": "https://w3id.org/ro/crate/1.1"},
                      "the descriptor does not conform to RO-Crate 1.1")
        self.need("./" in self.by_id, "no root data entity")

    def root(self):
        root = self.by_id["./"]
        self.need("Dataset" in types(root), "the root is no Dataset")
        self.need(TIME.match(str(root.get("datePublished", ""))), "datePublished is no ISO 8601 time")
        for key in ("name", "description", "license"):
            self.need(root.get(key), f"the root has no {key}")
        self.need({"@id": PROFILE} in listed(root.get("conformsTo")), "the root does not conform to the profile")
        main = self.of(root, "mainEntity")
        self.need(len(main) == 1 and "Dataset" in types(main[0]), "mainEntity is not one Dataset")
        project = self.of(root, "sourceOrganization")
        self.need(len(project) == 1 and "Project" in types(project[0]), "sourceOrganization is no Project")

    def files(self):
        reached, todo = set(), ["./"]
        while todo:
            for part in listed(self.by_id.get(todo.pop(), {}).get("hasPart")):
                if part["@id"] not in reached:
                    reached.add(part["@id"])
                    todo.append(part["@id"])
        for e in self.graph:
            local = not e["@id"].startswith(("#", "http")) and e["@id"] not in ("./", METADATA)
            if not local:
                self.need("File" not in types(e), f"{e['@id']} is no file of the crate")
                continue
            path = self.folder / e["@id"]
            self.need(e["@id"] in reached, f"{e['@id']} is in no hasPart")
            if "File" in types(e):
                if self.need(path.is_file(), f"{e['@id']} does not exist"):
                    content = path.read_bytes()
                    self.need(str(len(content)) == e.get("contentSize"), f"{e['@id']} has another size")
                    self.need(hashlib.sha256(content).hexdigest() == e.get("sha256"),
                              f"{e['@id']} has another digest")
            else:
                self.need("Dataset" in types(e) and e["@id"].endswith("/") and path.is_dir(),
                          f"{e['@id']} is no folder")
        on_disk = {str(p.relative_to(self.folder)) for p in self.folder.rglob("*") if p.is_file()}
        self.need(on_disk <= reached | {METADATA, "ro-crate-preview.html"},
                  f"not described: {on_disk - reached}")

    def actions(self):
        root = self.by_id["./"]
        mentioned = self.of(root, "mentions")
        runs = [e for e in mentioned if "CreateAction" in types(e)]
        if self.need(len(runs) == 1, "not one CreateAction is mentioned"):
            run = runs[0]
            self.need(run.get("instrument") == root.get("mainEntity"), "the run's instrument is not the mainEntity")
            self.need(self.of(run, "agent") and "Person" in types(self.of(run, "agent")[0]),
                      "the run's agent is no Person")
            self.need(self.of(run, "object") and all("Dataset" in types(o) for o in self.of(run, "object")),
                      "the run has no data")
            self.need(self.of(run, "result") and all("File" in types(o) for o in self.of(run, "result")),
                      "the run's results are no files")
            self.need(run.get("actionStatus") != "http://schema.org/FailedActionStatus" or run.get("error"),
                      "a failed run without an error")
        for e in self.graph:
            if not any(t.endswith("Action") for t in types(e)):
                continue
            self.need(e in mentioned, f"{e['@id']} is not mentioned by the root")
            self.need(e.get("actionStatus") in STATUS, f"{e['@id']} has no actionStatus")
            for key in ("startTime", "endTime"):
                self.need(key not in e or TIME.match(e[key]), f"{e['@id']}.{key} is no RFC 3339 time")
            if "AssessAction" in types(e):
                self.need(len(e["name"]) >= 10, f"{e['@id']} is not named well")
                self.need(self.of(e, "agent"), f"{e['@id']} has no agent")
                self.need(self.of(e, "object"), f"{e['@id']} has no object")
        for kind in ("SignOff", "ValidationCheck", "DisclosureCheck", "CheckValue"):
            self.need(any({"@id": SHP + kind} in listed(e.get("additionalType")) for e in mentioned), f"no {kind}")

    def witnesses(self):
        """Each decision is under a checkpoint, of which it is said whether others have seen it."""
        checks = [e for e in self.graph if {"@id": SHP + "DisclosureCheck"} in listed(e.get("additionalType"))]
        for site in [a for e in checks for a in self.of(e, "agent")]:
            where, found = site.get("@id"), []
            for e in self.graph:
                mine = [o for o in self.of(e, "object") if "CreativeWork" in types(o)
                        and self.of(o, "author") == [site] and isinstance(o.get("version"), int)]
                if {"@id": SHP + "CheckValue"} in listed(e.get("additionalType")) and mine:
                    found.append((e, mine[0]))
            if not self.need(len(found) == 1, f"not one CheckValue of the checkpoint of {where}"):
                continue
            e, checkpoint = found[0]
            self.need(checkpoint["version"] > 0, f"the tree of {where} is empty")
            well = e.get("actionStatus") == "http://schema.org/CompletedActionStatus"
            agents = self.of(e, "agent")
            self.need(not well or (len({a.get("@id") for a in agents}) >= 2 and site not in agents
                                   and all("Organization" in types(a) for a in agents)),
                      f"the log of {where} is called witnessed by fewer than two others")
            self.need(well or e.get("error"), f"the log of {where} is unwitnessed and no error says so")

    def people(self):
        for e in self.graph:
            if "Person" in types(e):
                self.need(self.of(e, "affiliation") and "Organization" in types(self.of(e, "affiliation")[0]),
                          f"{e['@id']} has no affiliation")


def problems(folder):
    return Reader(folder).read()
