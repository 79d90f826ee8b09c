import { setFlagsFromString } from "node:v8";

/** Lets V8's functions for machine code be called in this process: before anybody has asked whether they can be. */
export function allowMachineCode(): void {
  setFlagsFromString("--allow-natives-syntax");
}

/** Has V8 optimise functions of WebAssembly as soon as they are called, as long as `act` takes. */
export function optimisingAll<Result>(act: () => Result): Result {
  setFlagsFromString("--no-liftoff");
  try {
    return act();
  } finally {
    setFlagsFromString("--liftoff");
  }
}
