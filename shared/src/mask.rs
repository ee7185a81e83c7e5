//! Field masks of partial updates (AIP-134).

use prost_types::FieldMask;

use crate::fields::Violations;

/// The fields that an update names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask(Vec<&'static str>);

impl Mask {
    /// Reads a mask. `fields` are those that can be changed, each with whether the request fills
    /// it; `fixed` are those that can not.
    ///
    /// No mask means every field that is filled, and `*` every field.
    pub fn parse(
        mask: Option<FieldMask>,
        fields: &[(&'static str, bool)],
        fixed: &[&str],
        violations: &mut Violations,
    ) -> Self {
        let paths = mask.unwrap_or_default().paths;
        let all = matches!(paths.as_slice(), [star] if star == "*");
        for path in paths.iter().filter(|_| !all) {
            if fixed.contains(&path.as_str()) {
                violations.add("update_mask", format!("{path} can not be changed"));
            } else if !fields.iter().any(|(name, _)| name == path) {
                let path: String = path.escape_default().take(64).collect();
                violations.add("update_mask", format!("there is no field \"{path}\" to change"));
            }
        }
        let named = |&&(name, filled): &&(&'static str, bool)| {
            all || paths.iter().any(|path| path == name) || (paths.is_empty() && filled)
        };
        let named: Vec<_> = fields.iter().filter(named).map(|&(name, _)| name).collect();
        if named.is_empty() && paths.is_empty() {
            violations.add("update_mask", "must name a field, or the request must fill one");
        }
        Self(named)
    }

    /// Whether the update names this field.
    #[must_use]
    pub fn names(&self, field: &str) -> bool {
        self.0.contains(&field)
    }
}
