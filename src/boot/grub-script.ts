/** Words and commands of GRUB 2's shell-like language (GNU GRUB 2.06 manual §6.2). */

/** Part of a word: literal text, or the name of a variable. */
export interface WordPart {
  readonly text: string;
  readonly variable: boolean;
  /** Neither quoted nor escaped: only a bare `{` opens a block. */
  readonly bare: boolean;
}

export type Word = readonly WordPart[];

const VARIABLE = /\$(?:\{(\w{1,64}|\?)\}|(\w{1,64}|\?))/y;

/** @returns commands, each with one word at least; a `}` is a command of its own */
export function* tokenise(text: string): Generator<Word[]> {
  const scanner = new Scanner(text);
  let command: Word[] = [];
  for (let token = scanner.next(); token !== undefined; token = scanner.next()) {
    if (token !== SEPARATOR) {
      const brace = token.length === 1 && token[0]?.bare === true ? token[0].text : "";
      if (brace === "}") {
        if (command.length > 0) yield command;
        command = [];
      }
      command.push(token);
      // What follows a brace on its line, or a keyword, is a command again.
      if (brace !== "{" && brace !== "}" && !(command.length === 1 && KEYWORDS.has(brace)))
        continue;
    }
    if (command.length > 0) yield command;
    command = [];
  }
  if (command.length > 0) yield command;
}

const KEYWORDS: ReadonlySet<string> = new Set(["then", "else", "do", "fi", "done"]);
const SEPARATOR = "separator";

class Scanner {
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** @returns `undefined` at the end of the text */
  next(): Word | typeof SEPARATOR | undefined {
    this.#skipBlanks();
    const character = this.#peek();
    if (character === "") return undefined;
    if (character === "\n" || character === ";" || character === "&" || character === "|") {
      this.#position++;
      return SEPARATOR;
    }
    if (character === "{" || character === "}") {
      this.#position++;
      return [{ text: character, variable: false, bare: true }];
    }
    return this.#word();
  }

  #peek(): string {
    return this.#text.charAt(this.#position);
  }

  #skipBlanks(): void {
    for (; this.#position < this.#text.length; this.#position++) {
      const character = this.#peek();
      if (character === "#") this.#skipLine();
      if (this.#text.startsWith("\\\n", this.#position)) this.#position++;
      else if (!/[^\S\n]/.test(this.#peek())) return;
    }
  }

  #skipLine(): void {
    const end = this.#text.indexOf("\n", this.#position);
    this.#position = end < 0 ? this.#text.length : end;
  }

  #word(): Word {
    const parts: WordPart[] = [];
    let bare = "";
    const flush = (): void => {
      if (bare !== "") parts.push({ text: bare, variable: false, bare: true });
      bare = "";
    };
    for (let character = this.#peek(); !WORD_END.test(character); character = this.#peek()) {
      if (character === "'" || character === '"' || character === "\\" || character === "$") {
        flush();
        if (character === "'") parts.push(this.#singleQuoted());
        else if (character === '"') parts.push(...this.#doubleQuoted());
        else parts.push(character === "\\" ? this.#escaped() : this.#variable(true));
      } else {
        bare += character;
        this.#position++;
      }
    }
    flush();
    return parts;
  }

  #escaped(): WordPart {
    const text = this.#text.charAt(this.#position + 1);
    this.#position += 2;
    return literal(text);
  }

  #singleQuoted(): WordPart {
    const start = this.#position + 1;
    const end = this.#text.indexOf("'", start);
    const text = this.#text.slice(start, end < 0 ? undefined : end);
    this.#position = start + text.length + 1;
    return literal(text);
  }

  #doubleQuoted(): WordPart[] {
    const parts: WordPart[] = [literal("")];
    this.#position++;
    for (let character = this.#peek(); character !== "" && character !== '"'; ) {
      if (character === "$") parts.push(this.#variable(false));
      else {
        if (character === "\\" && /["$\\]/.test(this.#text.charAt(this.#position + 1))) {
          this.#position++;
        }
        parts.push(literal(this.#peek()));
        this.#position++;
      }
      character = this.#peek();
    }
    this.#position++;
    return parts;
  }

  /** A `$` that starts no name is a `$`. */
  #variable(bare: boolean): WordPart {
    VARIABLE.lastIndex = this.#position;
    const match = VARIABLE.exec(this.#text);
    if (match === null) {
      this.#position++;
      return { text: "$", variable: false, bare };
    }
    this.#position += match[0].length;
    return { text: match[1] ?? match[2] ?? "", variable: true, bare };
  }
}

/** Also the empty string, which is the end of the text. */
const WORD_END = /^$|[\s;&|{}]/;

const literal = (text: string): WordPart => ({ text, variable: false, bare: false });
