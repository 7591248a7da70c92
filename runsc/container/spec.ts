/** The OCI runtime spec's types, which runsc and the sandbox share. */
export type * from '../../proto/oci_spec.ts';
