// SCIMMY with its routers for Express, and a store in memory: node server.js PORT TOKEN
import { randomUUID } from "node:crypto";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const [port, token] = process.argv.slice(2);

/** Resources of a type by id, and by the lower case of the attribute that names them. */
class Store {
  constructor(nameOf) {
    this.byId = new Map();
    this.byName = new Map();
    this.nameOf = nameOf;
  }

  keyOf(resource) {
    return resource[this.nameOf].toLowerCase();
  }

  write(id, data) {
    const stored = { ...JSON.parse(JSON.stringify(data)), id: id ?? randomUUID() };
    const before = this.byId.get(stored.id);
    if (id && !before) throw new SCIMMY.Types.Error(404, null, `Resource ${id} not found`);
    const same = this.byName.get(this.keyOf(stored));
    if (same && same !== stored.id) throw new SCIMMY.Types.Error(409, "uniqueness", `${this.nameOf} is taken`);
    const now = new Date().toISOString();
    stored.meta = { created: before?.meta.created ?? now, lastModified: now };
    if (before) this.byName.delete(this.keyOf(before));
    this.byId.set(stored.id, stored);
    this.byName.set(this.keyOf(stored), stored.id);
    return stored;
  }

  read(resource) {
    if (resource.id) {
      const found = this.byId.get(resource.id);
      if (!found) throw new SCIMMY.Types.Error(404, null, `Resource ${resource.id} not found`);
      return found;
    }
    const named = this.named(resource.filter);
    return named ?? resource.filter?.match([...this.byId.values()]) ?? [...this.byId.values()];
  }

  /** What a look-up by name finds, without going through all. */
  named(filter) {
    const expression = filter?.length === 1 && Object.keys(filter[0]).length === 1 && filter[0][this.nameOf];
    if (!Array.isArray(expression) || expression[0] !== "eq") return undefined;
    const found = this.byName.get(String(expression[1]).toLowerCase());
    return found ? [this.byId.get(found)] : [];
  }

  remove(id) {
    const found = this.byId.get(id);
    if (!found) throw new SCIMMY.Types.Error(404, null, `Resource ${id} not found`);
    this.byId.delete(id);
    this.byName.delete(this.keyOf(found));
  }
}

for (const [type, store] of [
  [SCIMMY.Resources.User, new Store("userName")],
  [SCIMMY.Resources.Group, new Store("displayName")],
]) {
  SCIMMY.Resources.declare(type)
    .ingress((resource, data) => store.write(resource.id, data))
    .egress((resource) => store.read(resource))
    .degress((resource) => store.remove(resource.id));
}
SCIMMY.Resources.User.extend(SCIMMY.Schemas.EnterpriseUser, false);

const authenticate = (request) => {
  if (request.header("Authorization") !== `Bearer ${token}`) throw new Error("Authorization not detected!");
  return "bench";
};

express()
  .use("/scim/v2", new SCIMMYRouters({ type: "bearer", handler: authenticate }))
  .listen(Number(port), "127.0.0.1");
