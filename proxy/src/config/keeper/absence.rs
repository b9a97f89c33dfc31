//! What becomes of a document that its source does not have (any more).

use weft_engine::documents::{
    AddressesDocument, Document, DocumentName, Envelope, InboundDocument, IndexDocument,
};

use super::Keeper;
use crate::{
    config::{Feed, store::MAX_ABSENT},
    observe::families::CONFIG_RELOADS,
};

impl<F: Feed> Keeper<F> {
    pub(super) fn take_absence(&mut self, name: &DocumentName) {
        let was_active = self.store.active_of(name).is_some();
        match name {
            // Without mesh-wide settings there is no trust domain: what is in use stays.
            DocumentName::Mesh => {
                if let (None, Some(json)) = (&self.mesh, self.last_good.load(name)) {
                    self.take_document(name, &json, false);
                } else {
                    tracing::warn!(
                        kept = was_active,
                        "the mesh document is not there; check that the operator runs"
                    );
                }
                return;
            }
            DocumentName::Inbound(namespace) => {
                // A namespace without Services and policies has no document. That too is kept,
                // or a restart would wait for what does not exist.
                let empty = InboundDocument {
                    namespace: namespace.clone(),
                    ..InboundDocument::default()
                };
                self.inbound = Some(empty.clone());
                self.publish_inbound();
                self.outstanding.remove(name);
                self.note_withdrawal(name, was_active);
                let kept = Envelope::seal(Document::Inbound(empty));
                self.last_good.store(name, &kept.to_json());
                return;
            }
            DocumentName::Service(namespace, service) => {
                self.store.shared.withdraw_service(namespace, service);
                let key = (namespace.clone(), service.clone());
                if let Some(assembly) = self.services.get_mut(&key) {
                    assembly.withdraw_service();
                }
                self.remember_absent(name);
            }
            DocumentName::Endpoints(namespace, service, shard) => {
                let key = (namespace.clone(), service.clone());
                if let Some(assembly) = self.services.get_mut(&key) {
                    assembly.withdraw_shard(*shard);
                }
                self.publish_service(key);
            }
            DocumentName::Gateway(..) => self.store.shared.publish_gateway(None),
            DocumentName::Index(shard) => {
                self.store.shared.publish_index(IndexDocument {
                    shard: *shard,
                    ..Default::default()
                });
                self.store.shared.set_absent(name, false);
            }
            // No pod of the mesh has an address in it. That is known for as long as it is
            // followed: nobody asks again.
            DocumentName::Addresses(shard) => {
                self.store.shared.publish_addresses(AddressesDocument {
                    shard: *shard,
                    ..Default::default()
                });
                self.store.shared.set_absent(name, false);
            }
        }
        self.outstanding.remove(name);
        self.note_withdrawal(name, was_active);
        self.last_good.forget(name);
    }

    fn note_withdrawal(&self, name: &DocumentName, was_active: bool) {
        if was_active {
            tracing::info!(document = %name, "document withdrawn");
            self.metrics.counter(&CONFIG_RELOADS, &["withdrawn"]).inc();
        }
        // Nor is a version of it rejected any more.
        self.set_active(name, None);
    }

    /// Absent services stay followed, so that their coming is noticed at once; the oldest is
    /// given up when there are too many.
    fn remember_absent(&mut self, name: &DocumentName) {
        self.store.shared.set_absent(name, true);
        if self.absent.contains(name) {
            return;
        }
        self.absent.push_back(name.clone());
        if self.absent.len() > MAX_ABSENT
            && let Some(oldest) = self.absent.pop_front()
        {
            self.store.shared.set_absent(&oldest, false);
            self.unfollow(&oldest);
            if let DocumentName::Service(namespace, service) = oldest {
                let endpoints = DocumentName::Endpoints(namespace.clone(), service.clone(), 0);
                self.unfollow(&endpoints);
                self.services.remove(&(namespace, service));
            }
        }
    }
}
