import { describe, expect, it } from "vitest";
import { parseGrubCfg } from "../../src/boot/grub-cfg.ts";
import { parseMenuLst } from "../../src/boot/menu-lst.ts";

describe("menu.lst", () => {
  it("reads entries with kernel, arguments and modules", () => {
    const menu = parseMenuLst(
      [
        "# comment",
        "default=1",
        "timeout 0",
        "color white/black",
        "title First one",
        "root (cd)",
        "  kernel (cd)/boot/loader  a b ",
        "  module /boot/kernel",
        "title Second",
        'kernel --type=multiboot --no-mem-option boot/other x="1 2" -- y',
        "modulenounzip /data one two",
        "boot",
      ].join("\r\n"),
    );
    expect(menu.defaultIndex).toBe(1);
    expect(menu.entries).toEqual([
      {
        title: "First one",
        kernel: { path: "/boot/loader", arguments: "a b" },
        modules: [{ path: "/boot/kernel", arguments: "" }],
        version: 1,
        unsupported: undefined,
      },
      {
        title: "Second",
        kernel: { path: "/boot/other", arguments: 'x="1 2" -- y' },
        modules: [{ path: "/data", arguments: "one two" }],
        version: 1,
        unsupported: undefined,
      },
    ]);
  });

  it("reads names in quotes and with escaped blanks", () => {
    const menu = parseMenuLst('kernel "/my kernel" x\nmodule /my\\ module y');
    expect(menu.entries[0]).toMatchObject({
      title: "",
      kernel: { path: "/my kernel", arguments: "x" },
      modules: [{ path: "/my module", arguments: "y" }],
    });
  });

  it("takes the first entry when the default is not there", () => {
    for (const wanted of ["7", "saved", "-1", ""]) {
      expect(parseMenuLst(`default ${wanted}\ntitle a\ntitle b`).defaultIndex).toBe(0);
    }
  });

  it("marks what is not Multiboot", () => {
    expect(parseMenuLst("title w\nchainloader +1").entries[0]?.unsupported).toBe("chainloader");
  });
});

describe("grub.cfg", () => {
  it("reads entries with kernel, arguments and modules", () => {
    const menu = parseGrubCfg(`
      set timeout=0   # comment
      set default="1"
      set where=/boot
      insmod all_video; terminal_output console
      menuentry "First one" --class os { multiboot /boot/loader a 'b c' ; module $where/kernel; boot }
      menuentry 'Second' --id two {
        echo "Loading } ..."
        multiboot --quirk-bad-kludge (cd)\${where}/loader "x \\"y\\"" \\
          last
        module /boot/kernel k
        module /boot/more
      }`);
    expect(menu.defaultIndex).toBe(1);
    expect(menu.entries).toMatchObject([
      {
        title: "First one",
        kernel: { path: "/boot/loader", arguments: 'a "b c"' },
        modules: [{ path: "/boot/kernel", arguments: "" }],
      },
      {
        title: "Second",
        kernel: { path: "/boot/loader", arguments: '"x \\"y\\"" last' },
        modules: [
          { path: "/boot/kernel", arguments: "k" },
          { path: "/boot/more", arguments: "" },
        ],
      },
    ]);
  });

  it("finds the default by title and by id, in submenus too", () => {
    const entries =
      "menuentry a { multiboot /a }\nsubmenu more { menuentry b --id=B { multiboot /b } }";
    expect(parseGrubCfg(`set default=b\n${entries}`).defaultIndex).toBe(1);
    expect(parseGrubCfg(`set default=B\n${entries}`).defaultIndex).toBe(1);
    expect(parseGrubCfg(`set default=c\n${entries}`).defaultIndex).toBe(0);
  });

  it("passes over conditions, loops and functions", () => {
    const menu = parseGrubCfg(`
      if [ x = y ]; then set default=5; multiboot /no; else multiboot /no; fi
      function f { multiboot /no; if true; then multiboot /no; fi }
      for i in 1 2; do multiboot /no; done
      menuentry yes { if a; then module /no; fi
        multiboot /yes }`);
    expect(menu.entries).toMatchObject([{ title: "yes", kernel: { path: "/yes" }, modules: [] }]);
  });

  it("reads commands outside of entries as an entry", () => {
    expect(parseGrubCfg("multiboot /k x\nmodule /m\nboot").entries).toMatchObject([
      { title: "", kernel: { path: "/k", arguments: "x" }, modules: [{ path: "/m" }] },
    ]);
  });

  it("marks what is not Multiboot 1", () => {
    const menu = parseGrubCfg("menuentry x { linux /k }");
    expect(menu.entries[0]).toMatchObject({ kernel: undefined, unsupported: "linux" });
  });

  it("ends on every unfinished text", () => {
    for (const text of [
      "menuentry 'x",
      'set a="$',
      "menuentry x { multiboot ${",
      "a\\",
      "\v\f{",
      "$",
    ]) {
      expect(parseGrubCfg(text).defaultIndex).toBe(0);
    }
  });

  it("keeps words short when variables double each other", () => {
    const text = `set a=xxxxxxxx\n${"set a=$a$a\n".repeat(60)}multiboot /$a`;
    expect(parseGrubCfg(text).entries[0]?.kernel?.path.length).toBeLessThan(1000);
  });
});
