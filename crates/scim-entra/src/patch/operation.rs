//! One operation of Entra's as operations of the engine.
//!
//! Source, beside the modules that this one uses: GitHub thomaspoignant/scim-patch#132 and pond/scimitar#69 (dotted and
//! URN keys in a value without a path); AzureAD/SCIMReferenceCode, SCIMTests_Workflow.json (`""` and null in a replace
//! take a value away).

use scim::patch::{Op, Operation, PATCH_OPERATIONS_MAX};
use scim::schema::{Mutability, Schema};
use scim::{Definition, Error, Path};
use serde_json::Value;

use crate::dropped::Reports;
use crate::elements::{self, Nothing};
use crate::names::{self, Name};
use crate::path::{self, Resolved};
use crate::{members, roles};

/// Collects the operations of one request.
pub(super) struct Rewriter<'s> {
    definition: Definition<'s>,
    pub(super) operations: Vec<Operation<'s>>,
    pub(super) reports: Reports,
    /// Whether this request has already set the list of roles, so that further additions join it.
    roles_set: bool,
}

impl<'s> Rewriter<'s> {
    pub(super) fn new(definition: Definition<'s>) -> Self {
        Self { definition, operations: Vec::new(), reports: Reports::default(), roles_set: false }
    }

    pub(super) fn operation(&mut self, op: Op, path: Option<&str>, value: Option<Value>) -> Result<(), Error> {
        let Some(text) = path else { return self.without_path(op, value) };
        match path::resolve(self.definition, text)? {
            Resolved::Path(path) => self.at_path(op, path, value),
            Resolved::Unknown { attribute, reason } => self.reports.add(&attribute, reason),
            Resolved::Schema(schema) => self.whole_schema(op, schema, value)?,
        }
        Ok(())
    }

    fn whole_schema(&mut self, op: Op, schema: &'s Schema, value: Option<Value>) -> Result<(), Error> {
        match (op, value) {
            (Op::Remove, _) => {
                let removals = scim::patch::extension_operations(self.definition, op, schema.id, None);
                self.operations.extend(removals.unwrap_or_default());
                Ok(())
            }
            (Op::Add | Op::Replace, Some(value)) => self.schema_members(op, schema, value),
            (Op::Add | Op::Replace, None) => {
                Err(Error::invalid_value(format!("the operation on {} has no value", schema.id)))
            }
        }
    }

    /// Each key of the value is a path of its own.
    fn without_path(&mut self, op: Op, value: Option<Value>) -> Result<(), Error> {
        let members = match (op, value) {
            (Op::Add | Op::Replace, Some(Value::Object(members))) => members,
            (_, value) => {
                // The engine refuses it, and says why.
                self.operations.push(Operation::new(op, None, value));
                return Ok(());
            }
        };
        for (key, value) in members {
            if self.operations.len() > PATCH_OPERATIONS_MAX {
                return Err(super::too_many());
            }
            if key.contains('[') {
                self.operation(op, Some(&key), Some(value))?;
                continue;
            }
            match names::resolve(self.definition, &key) {
                Name::Schema(schema) => self.schema_members(op, schema, value)?,
                Name::Attribute(attribute) => self.at_path(op, attribute.into(), Some(value)),
                Name::ServerOnly => {}
                Name::Unknown(reason) => self.reports.add(&key, reason),
            }
        }
        Ok(())
    }

    fn schema_members(&mut self, op: Op, schema: &'s Schema, value: Value) -> Result<(), Error> {
        let members = match value {
            Value::Object(members) => members,
            // Null unassigns all of them (RFC 7643 section 2.5); adding nothing adds nothing.
            Value::Null if op == Op::Replace => return self.whole_schema(Op::Remove, schema, None),
            Value::Null => return Ok(()),
            _ => return Err(Error::invalid_value(format!("{} is not an object", schema.id))),
        };
        for (key, value) in members {
            let name = format!("{}:{key}", schema.id);
            match names::resolve(self.definition, &name) {
                Name::Attribute(attribute) => self.at_path(op, attribute.into(), Some(value)),
                Name::ServerOnly | Name::Schema(_) => {}
                Name::Unknown(reason) => self.reports.add(&name, reason),
            }
        }
        Ok(())
    }

    fn at_path(&mut self, op: Op, path: Path<'s>, value: Option<Value>) {
        let is_members = path.attribute.is_core("members", None);
        if path.attribute.leaf().mutability == Mutability::ReadOnly || is_members {
            let value = if is_members { value.map(members::list) } else { value };
            self.push(op, path, value);
            return;
        }
        let whole_list = path.attribute.leaf().multi_valued && path.filter.is_none();
        let Some(value) = value else {
            self.push(op, path, None);
            return;
        };
        match (op, whole_list) {
            (Op::Remove, true) => self.remove_listed(path, value),
            (Op::Remove, false) => self.push(Op::Remove, path, None),
            (Op::Add | Op::Replace, true) => self.set_list(op, path, value),
            (Op::Add | Op::Replace, false) => self.set_one(op, path, value),
        }
    }

    fn push(&mut self, op: Op, path: Path<'s>, value: Option<Value>) {
        let on_missing = path::on_missing(&path, value.as_ref());
        self.operations.push(Operation { op, path: Some(path), value, on_missing });
    }

    /// A removal that lists values removes those; null and empty text list nothing at all.
    fn remove_listed(&mut self, path: Path<'s>, value: Value) {
        let names_values = !value.is_null() && value.as_str() != Some("");
        let value = names_values.then(|| {
            let listed = elements::value(path.attribute.leaf(), value, &path.attribute.to_string(), &mut self.reports);
            listed.unwrap_or_else(|| Value::Array(Vec::new()))
        });
        self.operations.push(Operation::new(Op::Remove, Some(path), value));
    }

    fn set_list(&mut self, op: Op, path: Path<'s>, value: Value) {
        let is_roles = path.attribute.is_core("roles", None);
        let from_entra = is_roles && roles::are_from_entra(&value);
        let listed = elements::value(path.attribute.leaf(), value, &path.attribute.to_string(), &mut self.reports);
        let (op, value) = match (op, listed) {
            // Adding nothing adds nothing; taking everything away is said by a replace.
            (Op::Add, None) => return,
            (Op::Add, Some(listed)) if from_entra && !self.roles_set => (Op::Replace, listed),
            (op, listed) => (op, listed.unwrap_or_else(|| Value::Array(Vec::new()))),
        };
        self.roles_set |= is_roles;
        self.operations.push(Operation::new(op, Some(path), Some(value)));
    }

    /// Sets a single value, a sub-attribute, or the elements that a filter selects.
    fn set_one(&mut self, op: Op, path: Path<'s>, value: Value) {
        let leaf = path.attribute.leaf();
        let at = path.attribute.to_string();
        let value = if path.attribute.is_core("roles", None) { roles::unwrapped(value) } else { value };
        let names_parts = leaf.is_complex() && has_parts(&value);
        match elements::element(leaf, value, &at, &mut self.reports, Nothing::Null) {
            Some(value) => self.push(op, path, Some(value)),
            // Only unknown parts were named, and they are as if absent: that is no word about the known ones.
            None if names_parts => {}
            // To set it to nothing is another fault than to remove it, and the engine names each.
            None if leaf.required => self.push(op, path, Some(Value::Null)),
            None => self.push(Op::Remove, path, None),
        }
    }
}

/// Whether the value is an object with members, in a list or by itself.
fn has_parts(value: &Value) -> bool {
    match value {
        Value::Object(members) => !members.is_empty(),
        Value::Array(entries) => entries.iter().any(has_parts),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
