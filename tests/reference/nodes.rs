//! What a node's name answers.

use nameplate::{publish::settings::HostNames, wire::name::Name};

use super::{
    answer::{Asking, Outcome, ours},
    chain::{A, AAAA, ANY, TXT, exact},
    expected::{Authority, ErrorRule, Member},
    facts::{self, Family, Place},
    gate::NOERROR,
    services::string,
    tree::Tree,
};

impl<'a> Asking<'a> {
    /// A node's name, whatever its checks say.
    pub fn node(&self, tree: &Tree, name: &Name, qtype: u16, node: &str, step: usize) -> Outcome {
        let Some(entry) = self.world.node(node) else { return self.no_data(tree, "node") };
        let ttl = self.world.settings.default_rule.ttl_secs;
        let mut rules = Vec::new();
        let has_texts = !facts::txt_pairs(&entry.node.meta).is_empty();
        let places = [Family::V4, Family::V6].map(|family| facts::node_place(&entry.node, family));
        // A CNAME would hide an address that the node has too; ANY gets what is there.
        let chained = self.world.settings.host_names == HostNames::Cname;
        let barred = (chained || qtype == ANY) && places.iter().any(|place| matches!(place, Place::Ip(_)));
        for (rtype, place) in [A, AAAA].into_iter().zip(places) {
            if qtype != rtype && qtype != ANY {
                continue;
            }
            match place {
                Place::Ip(ip) => {
                    rules.push(exact(name, rtype, ttl, vec![Member { rdata: facts::octets(ip), weight: 1 }]));
                }
                Place::Host(_) if barred || qtype == ANY && has_texts => {}
                Place::Host(host) => match self.resolve(name, &host, (rtype, None), (ttl, step)) {
                    Outcome::Ours(draft)
                        if draft.answer.is_empty() && draft.chain.is_empty() && draft.rcode == NOERROR =>
                    {
                        let mut soa = self.soa(tree);
                        soa.ttls.push(ttl.min(self.world.settings.negative_ttl_secs));
                        soa.rdata.iter_mut().for_each(|rdata| rdata.minimums.push(ttl));
                        let mut none = ours(NOERROR, Authority::Soa(soa), "node");
                        none.errors = draft.errors;
                        none.chain = draft.chain;
                        return Outcome::Ours(none);
                    }
                    outcome => return outcome,
                },
                Place::Nowhere => {}
            }
        }
        let pairs = facts::txt_pairs(&entry.node.meta);
        if (qtype == TXT || (qtype == ANY && rules.is_empty())) && !pairs.is_empty() {
            let members = pairs.iter().map(|pair| Member { rdata: string(pair), weight: 1 }).collect();
            rules.push(exact(name, TXT, ttl, members));
        }
        if rules.is_empty() {
            return self.no_data(tree, "node");
        }
        let mut draft = self.positive(name, rules, "node");
        draft.errors.push(ErrorRule::allowed(3));
        Outcome::Ours(draft)
    }
}
