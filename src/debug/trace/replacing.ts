/** `object` with some of its members replaced; all others are its own. */
export const replacing = <Type extends object>(object: Type, members: Partial<Type>): Type =>
  new Proxy(object, {
    get(target, name) {
      if (name in members) return Reflect.get(members, name);
      const member: unknown = Reflect.get(target, name);
      // Private fields are found in the object itself only.
      return typeof member === "function" ? member.bind(target) : member;
    },
    set: (target, name, value) => Reflect.set(target, name, value),
  });
