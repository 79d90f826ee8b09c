/** What keyboard and mouse of a PS/2 have in common (IBM PS/2 Hardware Interface Technical Reference). */

/** Commands. */
export const ENABLE = 0xf4;
export const DISABLE = 0xf5;
export const SET_DEFAULTS = 0xf6;
export const RESEND = 0xfe;
export const RESET = 0xff;

/** Answers; {@link RESEND} is one, too. */
export const ACKNOWLEDGE = 0xfa;
export const SELF_TEST_PASSED = 0xaa;
