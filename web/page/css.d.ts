/** What the bundler makes a style sheet of. */
declare module "*.css";
