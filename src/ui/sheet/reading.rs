//! What of a sheet has been on screen.
//!
//! A plan that does not fit is shown page by page. The letter of a throttle comes
//! with its last page, so nobody agrees to steps that no frame has shown.

use crate::{engine::plan::Class, ui::sheet::Sheet};

impl Sheet {
    /// Pages of the plan read once the present frame is on screen.
    pub(super) fn read_by_now(&self) -> usize {
        self.read + usize::from(self.turned == self.read)
    }

    /// Whether part of the plan has never been on screen. Until then a throttle
    /// cannot be agreed to; a brake does not wait for anybody's reading.
    pub fn unread(&self) -> bool {
        let waits = match self.plan.class {
            Class::Throttle | Class::Bend => true,
            Class::Brake | Class::Neutral => false,
        };
        waits && self.read_by_now() < self.parts
    }

    /// Takes note of how many pages it has in this window.
    pub fn fit(&mut self, parts: usize, pages: usize) {
        self.read_on(|sheet| {
            (sheet.parts, sheet.pages) = (parts, pages);
            sheet.turned = sheet.turned.min(pages.saturating_sub(1));
        });
    }

    /// Shows the next page.
    pub(super) fn turn(&mut self) {
        self.read_on(|sheet| sheet.turned = (sheet.turned + 1) % sheet.pages.max(1));
    }

    /// What brings the last part of the plan on screen brings the letter with
    /// it, which then has its dead time.
    fn read_on(&mut self, change: impl FnOnce(&mut Self)) {
        let waited = self.unread();
        change(self);
        if waited && !self.unread() {
            self.shown_at = None;
            self.early = 0;
        }
    }

    /// Has to be read again from its first page, in a frame yet to be written.
    pub fn reread(&mut self) {
        (self.read, self.turned) = (0, 0);
        self.shown_at = None;
        self.early = 0;
    }
}
