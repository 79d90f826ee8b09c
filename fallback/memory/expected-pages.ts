import { type PageWalker, WALK } from "./paging.ts";
import { CHUNK, type PhysicalMemory } from "./physical.ts";

/**
 * An access to a page that is its own guest physical one, of 2 MiB or more, will be followed by others to its like
 * beside it: sets the accessed flags of these, as far as they follow each other in RAM, so that windows for reads can have
 * them all. A processor does so for accesses that it only expects (Intel SDM vol. 3A §4.10.2.3, "Details of
 * TLB Use"); dirty flags it does not set for these, and nor does this.
 * @param linear that the last walk was for, as it is again in the end
 */
export function expectAlike(walker: PageWalker, memory: PhysicalMemory, linear: number): void {
  const reach = (from: number, step: number): void => {
    for (let at = from; memory.allowsChunk("read", at); at += step) {
      const isAlike = walker.walk(at) === WALK.MAPPED && walker.page === at;
      if (!isAlike || walker.span < CHUNK) return;
      walker.setAccessed(false);
    }
  };
  const chunk = linear - (linear % CHUNK);
  reach(chunk + CHUNK, CHUNK);
  reach(chunk - CHUNK, -CHUNK);
  walker.walk(linear);
}
