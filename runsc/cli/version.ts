/** What this program is, and which specification it implements. */
export const VERSION = '0.1.0';
export const OCI_VERSION = '1.1.0';

export function versionText(): string {
  return `runsc version ${VERSION}\nspec: ${OCI_VERSION}\nnode: ${process.version}`;
}
